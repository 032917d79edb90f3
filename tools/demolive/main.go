// Command demolive plays a session into a running `make run`, utterance by utterance, so that anybody can watch it in GraphiQL. `make demo-live`
// starts it.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"time"
)

// script is an invented conversation: who says what, and after which pause in seconds.
var script = []struct {
	who, text string
	pause     float64
}{
	{"Ruth Calloway", "Good to see you. What would make this hour worth it for you?", 0},
	{"Amara Okafor", "I would like to stop answering messages at ten in the evening. I said so last time, and then I did it again on Tuesday.", 1.5},
	{"Ruth Calloway", "So something pulled you back.", 1.2},
	{"Amara Okafor", "Yes. If I do not answer, somebody else decides, and it is the wrong thing. Or I believe that it would be.", 2.1},
	{"Ruth Calloway", "What happened on Tuesday, when you looked?", 1},
	{"Amara Okafor", "Nothing. It was a question about a colour.", 4.2},
	{"Ruth Calloway", "Mm-hmm.", 0.4},
	{"Amara Okafor", "I was angry with myself, and then I stayed up until one.", 0.6},
	{"Ruth Calloway", "You should really put the phone into another room.", 0.8},
	{"Amara Okafor", "Perhaps. I have tried that, it lay there like a guest nobody talks to.", 1.4},
	{"Ruth Calloway", "You should tell the team that you are away after eight.", 0.7},
	{"Amara Okafor", "That I have never said aloud, in fact.", 3.4},
	{"Ruth Calloway", "What would you say, if you did?", 1.1},
	{"Amara Okafor", "That Tomasz decides after eight, and that I will back whatever he decides.", 4.8},
	{"Ruth Calloway", "And what do you want to do with that?", 1},
	{"Amara Okafor", "I will write to the team about it by Friday, before I lose the nerve.", 2.2},
	{"Ruth Calloway", "You sound lighter than when you came in.", 1.3},
	{"Amara Okafor", "I am. Thank you.", 1.8},
}

const secondsPerWord = 0.36

func main() {
	url := flag.String("url", "http://localhost:8080", "where the server is")
	speed := flag.Float64("speed", 1, "how many times as fast as people talk")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := play(ctx, *url, *speed); err != nil {
		fmt.Fprintln(os.Stderr, "demo-live:", err)
		os.Exit(1)
	}
}

// server is a server, seen by the demo's coach.
type server struct{ url, token string }

func play(ctx context.Context, url string, speed float64) error {
	if speed <= 0 {
		return fmt.Errorf("SPEED must be more than 0")
	}
	s := server{url: strings.TrimSuffix(url, "/")}
	var in struct{ Token string }
	if err := s.post(ctx, "/dev/login", map[string]any{"email": "coach@harbor.example"}, &in); err != nil {
		return fmt.Errorf("is `make run` running there? %w", err)
	}
	s.token = in.Token
	session, err := s.begin(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("Watch it in %s, tab \"live-session\", as coach@harbor.example:\n\n  {\"sessionId\": %q}\n\nIt begins in ten seconds.\n", s.url, session)
	at := 0.0
	if err := wait(ctx, 10*time.Second); err != nil {
		return err
	}
	for i, line := range script {
		at += line.pause
		words := strings.Fields(line.text)
		if err := wait(ctx, time.Duration(line.pause/speed*float64(time.Second))); err != nil {
			return err
		}
		for n := min(4, len(words)); ; n = min(n+4, len(words)) {
			if err := wait(ctx, time.Duration(4*secondsPerWord/speed*float64(time.Second))); err != nil {
				return err
			}
			chunk := map[string]any{"chunkId": fmt.Sprint(i + 1), "speaker": line.who, "text": strings.Join(words[:n], " "), "final": n == len(words),
				"startMs": int(at * 1000), "endMs": int((at + float64(n)*secondsPerWord) * 1000)}
			if err := s.mutate(ctx, "appendLiveUtterances", "added", map[string]any{"sessionId": session, "chunks": []any{chunk}}, nil); err != nil {
				return err
			}
			if n == len(words) {
				break
			}
		}
		at += float64(len(words)) * secondsPerWord
		fmt.Printf("%6.1f s  %s: %s\n", at, line.who, line.text)
	}
	return s.mutate(ctx, "endLiveSession", "liveSession {id}", map[string]any{"sessionId": session}, nil)
}

// begin plans a session with a client of the demo for now, and has it listened to.
func (s server) begin(ctx context.Context) (string, error) {
	var found struct {
		Sessions struct {
			Nodes []struct {
				Client     struct{ Name string }
				Engagement struct{ ID string }
			}
		}
	}
	if err := s.ask(ctx, `{sessions(first: 100) {nodes {client {name} engagement {id}}}}`, nil, &found); err != nil {
		return "", err
	}
	for _, n := range found.Sessions.Nodes {
		if n.Client.Name != "Amara Okafor" {
			continue
		}
		var made struct{ Session struct{ ID string } }
		if err := s.mutate(ctx, "createSession", "session {id}", map[string]any{"engagementId": n.Engagement.ID, "startsAt": time.Now(), "title": "A live demo"}, &made); err != nil {
			return "", err
		}
		return made.Session.ID, s.mutate(ctx, "startLiveSession", "liveSession {id}", map[string]any{"sessionId": made.Session.ID, "language": "en"}, nil)
	}
	return "", fmt.Errorf("the demo's client Amara Okafor is not there")
}

// mutate makes a change; its payload goes to out.
func (s server) mutate(ctx context.Context, name, fields string, input map[string]any, out any) error {
	var data struct{ Out json.RawMessage }
	query := fmt.Sprintf("mutation($in: %s%sInput!) {out: %s(input: $in) {%s userErrors {message}}}", strings.ToUpper(name[:1]), name[1:], name, fields)
	if err := s.ask(ctx, query, map[string]any{"in": input}, &data); err != nil {
		return err
	}
	var payload struct{ UserErrors []struct{ Message string } }
	if err := json.Unmarshal(data.Out, &payload); err != nil {
		return err
	}
	if len(payload.UserErrors) > 0 {
		return fmt.Errorf("%s: %s", name, payload.UserErrors[0].Message)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(data.Out, out)
}

func (s server) ask(ctx context.Context, query string, variables map[string]any, out any) error {
	var answer struct {
		Data   json.RawMessage
		Errors []struct{ Message string }
	}
	if err := s.post(ctx, "/graphql", map[string]any{"query": query, "variables": variables}, &answer); err != nil {
		return err
	}
	if len(answer.Errors) > 0 {
		return fmt.Errorf("%s", answer.Errors[0].Message)
	}
	return json.Unmarshal(answer.Data, out)
}

func (s server) post(ctx context.Context, path string, body, out any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+path, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	if s.token != "" {
		r.Header.Set("Authorization", "Bearer "+s.token)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	raw, err = io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("%s answers %s", path, answer.Status)
	}
	return nil
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
