// Package llmtest is a scripted OpenAI: a server that speaks the protocols of chat completions, streamed as events with calls of tools,
// and of embeddings, and fails in all the ways of the real one. And it holds what every llm.Model over that protocol must do.
package llmtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Key is the only key that a Server lets in.
const Key = "sk-scripted-0123456789abcdef"

// Server is the scripted OpenAI.
type Server struct {
	URL string // the base URL: …/v1

	mu       sync.Mutex
	script   func(Request) Answer
	requests []Request
}

// Request is what was asked.
type Request struct {
	N            int // 1 for the first
	Model        string
	Instructions string // the system's message
	Material     string // the user's message
	Tools        []string
	Inputs       []string // texts of which vectors are asked for, and nothing else
}

// Offers tells whether a tool is among those the model may call.
func (r Request) Offers(tool string) bool {
	for _, t := range r.Tools {
		if t == tool {
			return true
		}
	}
	return false
}

// Answer is what the server does. Its zero value is an answer that calls no tool and says nothing.
type Answer struct {
	Calls   []Call
	Text    string // words instead of calls
	Refusal string
	Finish  string // why it ends; "" for what fits

	Split  int  // bytes of an argument in one event, wherever that cuts it; 0 keeps arguments whole
	Escape bool // write what is not ASCII as \u escapes, as many servers do; without it the bytes go as they are
	Write  int  // bytes in one write to the connection; 0 is an event each

	Vectors [][]float32 // where vectors are asked for; nil for some

	InputTokens, OutputTokens int  // what it says it has used
	NoUsage                   bool // it does not say

	Status     int    // instead of an answer: 429, 500, 503 …
	Code       string // of the error
	RetryAfter string // the header

	Each func(event int)                              // before each event is sent, counted from 0
	Stop Stop                                         // how it ends before its end
	At   int                                          // after how many events it Stops
	Raw  func(w http.ResponseWriter, r *http.Request) // anything else
}

// Call is a call of a tool. Arguments are sent as they stand here, whether or not they are JSON.
type Call struct{ Tool, Arguments string }

// Stop is a way of ending too early.
type Stop int

// The ways.
const (
	Never   Stop = iota
	Drop         // the connection breaks
	Close        // the answer ends in good order, without having been finished
	Hang         // nothing more comes, and the connection stays
	Garbage      // what comes is no event
	Fail         // an error comes as an event
)

// Serve starts a server that answers as the script says. It ends with the test.
func Serve(t testing.TB, script func(Request) Answer) *Server {
	t.Helper()
	s := &Server{script: script}
	h := httptest.NewServer(http.HandlerFunc(s.serve))
	s.URL = h.URL + "/v1"
	t.Cleanup(func() { h.CloseClientConnections(); h.Close() })
	return s
}

// InTurn answers the first request with the first answer, and so on; the last is repeated.
func InTurn(answers ...Answer) func(Request) Answer {
	return func(r Request) Answer { return answers[min(r.N, len(answers))-1] }
}

// Recorded answers by what stands in files: events as they come over the line, one file for the requests that offer one tool. They are played byte by
// byte as they are, with all that a service writes around what is of use.
func Recorded(t testing.TB, fileFor map[string]string) func(Request) Answer {
	t.Helper()
	events := map[string][]byte{}
	for tool, file := range fileFor {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		events[tool] = raw
	}
	return func(r Request) Answer {
		for tool, raw := range events {
			if r.Offers(tool) {
				return Answer{Raw: func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
					for line := range bytes.Lines(raw) {
						_, _ = w.Write(line)
						flush(w)
					}
				}}
			}
		}
		return Answer{Status: http.StatusNotFound}
	}
}

// Answers changes the script.
func (s *Server) Answers(script func(Request) Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = script
}

// Requests are those that came so far, also if they were answered by an error.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// body is what the protocol says a request is, as far as it is used here.
type body struct {
	Model    string `json:"model"`
	Messages []struct {
		Role    string  `json:"role"`
		Content *string `json:"content"`
	} `json:"messages"`
	Tools []struct {
		Type     string `json:"type"`
		Function struct {
			Name       string          `json:"name"`
			Strict     bool            `json:"strict"`
			Parameters json.RawMessage `json:"parameters"`
		} `json:"function"`
	} `json:"tools"`
	ToolChoice    json.RawMessage `json:"tool_choice"`
	Temperature   *float64        `json:"temperature"`
	Stream        bool            `json:"stream"`
	StreamOptions *struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	MaxTokens int `json:"max_completion_tokens"`
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.URL.Path != "/v1/chat/completions" && r.URL.Path != "/v1/embeddings" {
		fail(w, http.StatusNotFound, "not_found")
		return
	}
	if r.Header.Get("Authorization") != "Bearer "+Key {
		fail(w, http.StatusUnauthorized, "invalid_api_key")
		return
	}
	if r.URL.Path == "/v1/embeddings" {
		s.embeddings(w, r)
		return
	}
	content, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var b body
	if err := json.Unmarshal(content, &b); err != nil {
		fail(w, http.StatusBadRequest, "invalid_json")
		return
	}
	asked := Request{Model: b.Model}
	for _, m := range b.Messages {
		switch {
		case m.Content == nil:
		case m.Role == "system":
			asked.Instructions += *m.Content
		case m.Role == "user":
			asked.Material += *m.Content
		}
	}
	for _, t := range b.Tools {
		asked.Tools = append(asked.Tools, t.Function.Name)
	}
	a := s.note(asked)
	if why := b.wrong(); why != "" {
		fail(w, http.StatusBadRequest, why)
		return
	}
	a.send(w, r, b)
}

// note writes a request down, and asks the script what is to be answered.
func (s *Server) note(asked Request) Answer {
	s.mu.Lock()
	asked.N = len(s.requests) + 1
	s.requests = append(s.requests, asked)
	script := s.script
	s.mu.Unlock()
	return script(asked)
}

// wrong says what a request lacks that the product promises, or that the service would refuse.
func (b body) wrong() string {
	switch {
	case len(b.Messages) != 2 || b.Messages[0].Role != "system" || b.Messages[1].Role != "user":
		return "two_messages"
	case !b.Stream || b.StreamOptions == nil || !b.StreamOptions.IncludeUsage:
		return "no_stream"
	case b.Temperature == nil || *b.Temperature > 1e-6: // left out it is 1
		return "temperature"
	case b.MaxTokens < 1 || b.MaxTokens > 4096:
		return "max_tokens"
	case string(b.ToolChoice) != `"required"` || len(b.Tools) == 0:
		return "tool_choice"
	}
	for _, t := range b.Tools {
		var schema any
		if t.Type != "function" || t.Function.Name == "" || !t.Function.Strict || json.Unmarshal(t.Function.Parameters, &schema) != nil {
			return "tool"
		}
		if why := notStrict(schema); why != "" {
			return why
		}
	}
	return ""
}

// notStrict says why the service would not take a schema as a strict one.
func notStrict(schema any) string {
	s, ok := schema.(map[string]any)
	if !ok {
		return "schema"
	}
	for key := range s {
		switch key {
		case "type", "description", "properties", "required", "additionalProperties", "items", "enum":
		default:
			return "schema_" + key
		}
	}
	if items, ok := s["items"]; ok {
		return notStrict(items)
	}
	properties, ok := s["properties"].(map[string]any)
	if !ok {
		return ""
	}
	required, _ := s["required"].([]any)
	if s["additionalProperties"] != false || len(required) != len(properties) {
		return "schema_not_strict"
	}
	for _, p := range properties {
		if why := notStrict(p); why != "" {
			return why
		}
	}
	return ""
}

// fail answers with an error as the service writes them; its message quotes, as the real one's may.
func fail(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{
		"message": "Incorrect request: " + Key + " said something private", "type": "error", "param": nil, "code": code,
	}})
}

// send answers.
func (a Answer) send(w http.ResponseWriter, r *http.Request, b body) {
	if a.Raw != nil {
		a.Raw(w, r)
		return
	}
	if a.RetryAfter != "" {
		w.Header().Set("Retry-After", a.RetryAfter)
	}
	if a.Status != 0 {
		fail(w, a.Status, a.Code)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	flush(w)
	for i, event := range append(a.events(b.Model), "") {
		if a.Stop != Never && i == a.At {
			a.stop(w, r)
			return
		}
		if event == "" {
			return
		}
		if a.Each != nil {
			a.Each(i)
		}
		for text := "data: " + event + "\n\n"; text != ""; {
			n := len(text)
			if a.Write > 0 {
				n = min(n, a.Write)
			}
			if _, err := io.WriteString(w, text[:n]); err != nil {
				return
			}
			flush(w)
			text = text[n:]
		}
	}
}

func (a Answer) stop(w http.ResponseWriter, r *http.Request) {
	switch a.Stop {
	case Drop:
		panic(http.ErrAbortHandler)
	case Hang:
		<-r.Context().Done()
	case Garbage:
		_, _ = io.WriteString(w, "data: <html>Bad gateway</html>\n\n")
	case Fail:
		_, _ = io.WriteString(w, `data: {"error":{"message":"The server had an error while processing something private","type":"server_error","param":null,"code":null}}`+"\n\n")
	}
}

func flush(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() }

// events are the data of all events.
func (a Answer) events(model string) []string {
	var all []string
	chunk := func(delta, finish string) {
		all = append(all, fmt.Sprintf(`{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":%q,"choices":[{"index":0,"delta":%s,"finish_reason":%s}],"usage":null}`,
			model, delta, finish))
	}
	chunk(`{"role":"assistant","content":null}`, "null")
	if a.Text != "" {
		for _, word := range strings.SplitAfter(a.Text, " ") {
			chunk(`{"content":`+a.quote(word)+`}`, "null")
		}
	}
	if a.Refusal != "" {
		chunk(`{"refusal":`+a.quote(a.Refusal)+`}`, "null")
	}
	for i, c := range a.Calls {
		chunk(fmt.Sprintf(`{"tool_calls":[{"index":%d,"id":"call_%d","type":"function","function":{"name":%q,"arguments":""}}]}`, i, i, c.Tool), "null")
		for _, part := range a.parts(c.Arguments) {
			chunk(fmt.Sprintf(`{"tool_calls":[{"index":%d,"function":{"arguments":%s}}]}`, i, part), "null")
		}
	}
	finish := a.Finish
	if finish == "" {
		if finish = "stop"; len(a.Calls) > 0 {
			finish = "tool_calls"
		}
	}
	chunk(`{}`, strconv.Quote(finish))
	if !a.NoUsage {
		all = append(all, fmt.Sprintf(`{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":%q,"choices":[],"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}}`,
			model, a.InputTokens, a.OutputTokens, a.InputTokens+a.OutputTokens))
	}
	return append(all, "[DONE]")
}

// parts cuts arguments and quotes each part as JSON. A part may begin or end inside a character.
func (a Answer) parts(arguments string) []string {
	if a.Escape {
		// In UTF-16 units, as a server cuts them that counts so: half of a pair is \ud83d.
		quoted := a.quote(arguments)
		return cutEscaped(quoted[1:len(quoted)-1], a.Split)
	}
	var parts []string
	for arguments != "" {
		n := len(arguments)
		if a.Split > 0 {
			n = min(n, a.Split)
		}
		parts = append(parts, quoteBytes(arguments[:n]))
		arguments = arguments[n:]
	}
	return parts
}

// cutEscaped cuts the inside of a JSON string into parts of n units, each a character or an escape.
func cutEscaped(s string, n int) []string {
	var parts []string
	var b strings.Builder
	units := 0
	for s != "" {
		w := 1
		if s[0] == '\\' {
			if w = 2; s[1] == 'u' {
				w = 6
			}
		}
		b.WriteString(s[:w])
		s = s[w:]
		if units++; units == n {
			parts = append(parts, `"`+b.String()+`"`)
			b.Reset()
			units = 0
		}
	}
	if b.Len() > 0 {
		parts = append(parts, `"`+b.String()+`"`)
	}
	return parts
}

func (a Answer) quote(s string) string {
	if !a.Escape {
		return quoteBytes(s)
	}
	q, _ := json.Marshal(s)
	var b strings.Builder
	for _, r := range string(q) {
		switch {
		case r < 0x80:
			b.WriteRune(r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+(r>>10), 0xdc00+(r&0x3ff))
		}
	}
	return b.String()
}

// quoteBytes quotes bytes as JSON without looking at characters.
func quoteBytes(s string) string {
	b := []byte{'"'}
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20:
			b = fmt.Appendf(b, `\u%04x`, c)
		default:
			b = append(b, c)
		}
	}
	return string(append(b, '"'))
}

// Line is a line of a conversation, as analysers show it to the model.
type Line struct {
	N       int    `json:"n"`
	Speaker string `json:"speaker"`
	Role    string `json:"role"`
	Text    string `json:"text"`
}

// Lines are those lines of the material that are JSON objects with a number and a text.
func (r Request) Lines() []Line {
	var all []Line
	for _, line := range strings.Split(r.Material, "\n") {
		var l Line
		if json.Unmarshal([]byte(line), &l) == nil && l.Text != "" {
			all = append(all, l)
		}
	}
	return all
}
