package app_test

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/testkit"
)

// frugal speaks graphql-transport-ws by hand over a bare connection, so that a thousand of them weigh nothing beside the
// server's sockets in the same process.
type frugal struct{ net.Conn }

func dialFrugal(t testing.TB, env *apptest.Env) frugal {
	t.Helper()
	address := strings.TrimPrefix(env.URL, "http://")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_, _ = fmt.Fprintf(conn, "GET /graphql HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n", address)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil) // the server says no more until it is asked
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v %+v", err, res)
	}
	return frugal{conn}
}

func (c frugal) send(t testing.TB, message any) {
	t.Helper()
	raw, err := json.Marshal(message)
	if err != nil {
		t.Fatal(err)
	}
	frame := binary.BigEndian.AppendUint16([]byte{0x81, 0x80 | 126}, uint16(len(raw)))
	frame = append(append(frame, 0, 0, 0, 0), raw...) // a mask of zeros changes nothing
	if _, err := c.Write(frame); err != nil {
		t.Fatal(err)
	}
}

func (c frugal) expect(t testing.TB, text string) {
	t.Helper()
	var head [2]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		t.Fatal(err)
	}
	payload := make([]byte, head[1])
	if _, err := io.ReadFull(c, payload); err != nil || !strings.Contains(string(payload), text) {
		t.Fatalf("got %q, want %q: %v", payload, text, err)
	}
}

// A socket that listens has two goroutines, one each for what it reads and its subscription, whose stacks stay small; and what it
// holds when the garbage is collected is counted in kilobytes.
func TestSocketsAreLight(t *testing.T) { // alone, for it counts what the process holds
	const n = 200
	env := apptest.Demo(t, apptest.Config(func(c *config.Config) { c.HTTP.MaxStreamsPerUser = 0 }))
	coach := env.Login(t, apptest.Coach)
	session := amara2.id(t, env)
	open := func() {
		c := dialFrugal(t, env)
		c.send(t, map[string]any{"type": "connection_init", "payload": map[string]string{"Authorization": "Bearer " + coach.Token}})
		c.expect(t, "connection_ack")
		c.send(t, map[string]any{"id": "1", "type": "subscribe", "payload": map[string]any{"query": listen, "variables": apptest.Vars{"session": session}}})
	}
	open() // what the first one makes stays
	env.Statements.Await(t, begun, 0)
	goroutines, heap, stacks := held()
	for range n {
		open()
	}
	env.Statements.Await(t, begun, n)
	testkit.Eventually(t, 10*time.Second, func() error { // the handshakes' own are on their way out
		if g, _, _ := held(); g-goroutines > 2*n {
			return fmt.Errorf("%d goroutines for %d sockets", g-goroutines, n)
		}
		return nil
	})
	_, h, s := held()
	h, s = (h-heap)/n, (s-stacks)/n
	t.Logf("a socket holds %d bytes of heap and %d of stacks", h, s)
	if h > 24_000 { // stacks are larger with the race detector
		t.Error("that is too much for thousands of them: does something hold on to the handshake?")
	}
}

// held is how many goroutines there are, and the bytes of heap and of stacks in use when all garbage is collected.
func held() (goroutines int, heap, stacks int64) {
	for range 6 { // each collection halves the stacks that have become too large
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return runtime.NumGoroutine(), int64(m.HeapAlloc), int64(m.StackInuse)
}
