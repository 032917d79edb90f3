package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/tools/bench/seed"
)

// dashboardRequest is the request as it goes over the wire, the same for every side.
func (b *bench) dashboardRequest() []byte {
	body, _ := json.Marshal(map[string]any{"query": seed.Dashboard, "variables": map[string]any{"first": 50}}) // strings and a number
	return b.request(body)
}

// request is a body as it goes over the wire.
func (b *bench) request(body []byte) []byte {
	return fmt.Appendf(nil, "POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nAccept: application/json\r\n"+
		"Authorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", b.token, len(body), body)
}

// load is what became of a run.
type load struct {
	latencies []time.Duration // sorted
	took      time.Duration
	cpu       time.Duration // of the server
	database  time.Duration // processor time of PostgreSQL
	sql       int64         // statements
}

func (l load) perSecond() float64 { return float64(len(l.latencies)) / l.took.Seconds() }

func (l load) quantile(q float64) time.Duration {
	return l.latencies[min(len(l.latencies)-1, int(q*float64(len(l.latencies))))]
}

// each is a request's part of what was used.
func (l load) each(used time.Duration) time.Duration { return used / time.Duration(len(l.latencies)) }

func (l load) perRequest() float64 { return float64(l.sql) / float64(len(l.latencies)) }

// run asks over and over on each of the connections. The client is as plain as can be: it shares the cores with the server.
func (b *bench) run(ctx context.Context, c *child, request []byte, conns int, length time.Duration) (load, error) {
	before, err := c.figures(ctx, false)
	if err != nil {
		return load{}, err
	}
	database, err := b.databaseCPU(ctx)
	if err != nil {
		return load{}, err
	}
	var mu sync.Mutex
	var all load
	var failed error
	var wg sync.WaitGroup
	began := time.Now()
	for range conns {
		wg.Go(func() {
			latencies, err := c.ask(ctx, request, began.Add(length))
			mu.Lock()
			defer mu.Unlock()
			all.latencies = append(all.latencies, latencies...)
			if failed == nil {
				failed = err
			}
		})
	}
	wg.Wait()
	all.took = time.Since(began)
	after, err := c.figures(ctx, false)
	if failed == nil {
		failed = err
	}
	if all.database, err = b.databaseCPU(ctx); failed == nil {
		failed = err
	}
	all.database -= database
	if failed == nil && len(all.latencies) == 0 {
		failed = fmt.Errorf("no answer within %s", length)
	}
	all.cpu, all.sql = after.CPU-before.CPU, after.Statements-before.Statements
	slices.Sort(all.latencies)
	return all, failed
}

// databaseCPU is what the server's connections have cost PostgreSQL so far.
func (b *bench) databaseCPU(ctx context.Context) (time.Duration, error) {
	rows, err := b.db.Query(ctx, `SELECT pid FROM pg_stat_activity WHERE application_name = 'rapport'`)
	if err != nil {
		return 0, err
	}
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int32])
	return cpuOf(pids), err
}

// ask uses one connection until the end.
func (c *child) ask(ctx context.Context, request []byte, end time.Time) (latencies []time.Duration, err error) {
	conn, err := net.Dial("tcp", c.Addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	in := bufio.NewReaderSize(conn, 64<<10)
	body := make([]byte, 32<<10)
	for begin := time.Now(); begin.Before(end) && ctx.Err() == nil; begin = time.Now() {
		if _, err := conn.Write(request); err != nil {
			return latencies, err
		}
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			return latencies, err
		}
		if _, err := io.CopyBuffer(discard{}, res.Body, body); err != nil {
			return latencies, err
		}
		if res.StatusCode != http.StatusOK {
			return latencies, fmt.Errorf("the answer is %s", res.Status)
		}
		latencies = append(latencies, time.Since(begin))
	}
	return latencies, ctx.Err()
}

// discard is io.Discard without its ReadFrom, which would take a buffer of its own.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// answer asks once and returns the body.
func (c *child) answer(request []byte) ([]byte, error) {
	conn, err := net.Dial("tcp", c.Addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if _, err := conn.Write(request); err != nil {
		return nil, err
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	if err == nil && (res.StatusCode != http.StatusOK || bytes.Contains(body, []byte(`"errors"`))) {
		err = fmt.Errorf("the answer is %s: %.500s", res.Status, body)
	}
	return body, err
}

// median of values; it sorts them.
func median[T int64 | float64 | time.Duration](values []T) T {
	slices.Sort(values)
	n := len(values)
	if n == 0 {
		return 0
	}
	return (values[(n-1)/2] + values[n/2]) / 2
}
