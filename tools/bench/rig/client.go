package rig

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// Client is the practice's coach at a server.
type Client struct {
	rig *Rig
	url string
}

// Client returns one of the process.
func (p *Process) Client() Client { return Client{p.rig, p.URL} }

// Refused is an answer that trying again does not change.
type Refused struct{ why string }

func (r Refused) Error() string { return r.why }

// Session makes a session of the practice's engagement and returns its id.
func (c Client) Session(ctx context.Context) (string, error) {
	var out struct {
		CreateSession struct{ Session *struct{ ID string } }
	}
	err := c.Ask(ctx, `mutation($in: CreateSessionInput!) { createSession(input: $in) { session { id } userErrors { code field message } } }`,
		map[string]any{"in": map[string]any{"engagementId": c.rig.Practice.Engagement.String(), "startsAt": "2025-01-01T10:00:00Z"}}, &out)
	if err != nil || out.CreateSession.Session == nil {
		return "", errors.Join(err, errors.New("no session"))
	}
	return out.CreateSession.Session.ID, nil
}

type said struct {
	Transcript *struct{ ID string }
	UserErrors []struct{ Code, Field, Message string }
}

func (s said) key() (string, error) {
	if s.Transcript == nil {
		return "", Refused{fmt.Sprint(s.UserErrors)}
	}
	return s.Transcript.ID, nil
}

// Paste imports a file by a mutation and returns the transcript's id.
func (c Client) Paste(ctx context.Context, session string, file []byte) (string, error) {
	var out struct{ ImportTranscript said }
	if err := c.Ask(ctx, `mutation($in: ImportTranscriptInput!) { importTranscript(input: $in) { transcript { id } userErrors { code field message } } }`,
		map[string]any{"in": map[string]any{"sessionId": session, "content": string(file)}}, &out); err != nil {
		return "", err
	}
	return out.ImportTranscript.key()
}

// Upload imports a file by a link to the store and returns the transcript's id.
func (c Client) Upload(ctx context.Context, session string, file []byte) (string, error) {
	sum := sha256.Sum256(file)
	var out struct {
		RequestTranscriptUpload struct {
			said
			Upload *struct {
				Method, URL string
				Headers     []struct{ Name, Value string }
			}
		}
	}
	if err := c.Ask(ctx, `mutation($in: RequestTranscriptUploadInput!) { requestTranscriptUpload(input: $in) {
			transcript { id } upload { method url headers { name value } } userErrors { code field message } } }`,
		map[string]any{"in": map[string]any{"sessionId": session, "filename": "recording.vtt", "sizeBytes": len(file), "sha256": hex.EncodeToString(sum[:])}}, &out); err != nil {
		return "", err
	}
	key, err := out.RequestTranscriptUpload.key()
	if err != nil {
		return "", err
	}
	if link := out.RequestTranscriptUpload.Upload; link != nil {
		req, err := http.NewRequestWithContext(ctx, link.Method, link.URL, bytes.NewReader(file))
		if err != nil {
			return "", err
		}
		for _, h := range link.Headers {
			req.Header.Set(h.Name, h.Value)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return "", err
		}
		_ = res.Body.Close()
		if res.StatusCode >= 300 && res.StatusCode != http.StatusPreconditionFailed { // which is an answer that got lost
			return "", fmt.Errorf("the store answers %s", res.Status)
		}
	}
	var done struct{ CompleteTranscriptUpload said }
	if err := c.Ask(ctx, `mutation($id: ID!) { completeTranscriptUpload(input: {transcriptId: $id}) { transcript { id } userErrors { code field message } } }`,
		map[string]any{"id": key}, &done); err != nil {
		return "", err
	}
	return done.CompleteTranscriptUpload.key()
}

// Ask sends an operation and reads its data.
func (c Client) Ask(ctx context.Context, query string, variables map[string]any, into any) error {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/graphql", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+c.rig.Token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	var answer struct {
		Data   json.RawMessage
		Errors []struct{ Message string }
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return fmt.Errorf("%s: %w", res.Status, err)
	}
	if len(answer.Errors) > 0 {
		return errors.New(answer.Errors[0].Message)
	}
	return json.Unmarshal(answer.Data, into)
}
