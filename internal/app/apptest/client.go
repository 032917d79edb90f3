package apptest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/platform/id"
)

// Client is somebody who is signed in.
type Client struct {
	env   *Env
	Token string
}

// Response is an answer of the GraphQL endpoint.
type Response struct {
	Status int             `json:"-"`
	Header http.Header     `json:"-"`
	Body   []byte          `json:"-"`
	Data   json.RawMessage `json:"data"`
	Errors []Error         `json:"errors"`
}

// Error is an entry of errors.
type Error struct {
	Message   string
	Path      []any
	Code      string // of the extensions, as the rest
	Field     string
	RequestID string
	Place     string // "line:column" of the query, "" if none is named
}

// UnmarshalJSON reads the extensions.
func (e *Error) UnmarshalJSON(raw []byte) error {
	var in struct {
		Message    string
		Path       []any
		Locations  []struct{ Line, Column int }
		Extensions struct{ Code, Field, RequestID string }
	}
	err := json.Unmarshal(raw, &in)
	*e = Error{in.Message, in.Path, in.Extensions.Code, in.Extensions.Field, in.Extensions.RequestID, ""}
	if len(in.Locations) > 0 {
		e.Place = fmt.Sprintf("%d:%d", in.Locations[0].Line, in.Locations[0].Column)
	}
	return err
}

// Code is the code of the only error, "" without errors, and all codes together where there are several.
func (r Response) Code() string {
	codes := make([]string, len(r.Errors))
	for i, e := range r.Errors {
		codes[i] = e.Code
	}
	return strings.Join(codes, " ")
}

// Into reads the data.
func (r Response) Into(t testing.TB, out any) {
	t.Helper()
	if err := unmarshal(r.Data, out); err != nil {
		t.Fatalf("%v: %s", err, r.Data)
	}
}

// Vars are a query's variables.
type Vars map[string]any

// Header is what an authenticated POST of the client carries.
func (c *Client) Header() http.Header {
	h := http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}}
	if c.Token != "" {
		h.Set("Authorization", "Bearer "+c.Token)
	}
	return h
}

// Do sends a query or mutation by POST.
func (c *Client) Do(t testing.TB, query string, vars Vars) Response {
	t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": vars})
	if err != nil {
		t.Fatal(err)
	}
	var r Response
	status, header, raw := c.env.send(t, http.MethodPost, "/graphql", c.Header(), body)
	if err := unmarshal(raw, &r); err != nil {
		t.Fatalf("no GraphQL answer: %v: %d %.2000s", err, status, raw)
	}
	r.Status, r.Header, r.Body = status, header, raw
	return r
}

// Must is Do for what must succeed; the data goes to out unless that is nil.
func (c *Client) Must(t testing.TB, query string, vars Vars, out any) {
	t.Helper()
	r := c.Do(t, query, vars)
	if r.Status != http.StatusOK || len(r.Errors) > 0 {
		t.Fatalf("%d %.2000s\nfor %s\nwith %.1000v", r.Status, r.Body, query, vars)
	}
	if out != nil {
		r.Into(t, out)
	}
}

var web = &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 16}}

func (e *Env) send(t testing.TB, method, path string, header http.Header, body []byte) (int, http.Header, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, e.URL+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header.Clone()
	if host := header.Get("Host"); host != "" {
		req.Host = host
	}
	res, err := web.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, answer
}

func unmarshal(raw []byte, out any) error {
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("%w", err)
	}
	return nil
}

func sessionTopic(key id.UUID) string { return session.SessionTopic(session.ID{UUID: key}) }
