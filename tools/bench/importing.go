package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rapporthq/rapport/internal/coaching/session"
	pgstream "github.com/rapporthq/rapport/internal/platform/stream/postgres"
	"github.com/rapporthq/rapport/tools/bench/seed"
)

// measureImport imports an hour of talk and waits for what comes of it on a socket.
func measureImport(ctx context.Context, b *bench) error {
	c, err := b.start(ctx, ours)
	if err != nil {
		return err
	}
	defer c.stop()
	var answered, first, ready []time.Duration
	var insights, cues, size int
	for run := -1; run < b.runs; run++ {
		file := seed.NewWords(uint64(100 + run)).Zoom(60)
		cues, size = bytes.Count(file, []byte("-->")), len(file)
		r, err := b.importOnce(ctx, c, file)
		if err != nil {
			return err
		}
		if run >= 0 { // the first time is the connections' and the plans'
			answered, first, ready, insights = append(answered, r.answered), append(first, r.first), append(ready, r.ready), r.insights
		}
	}
	fmt.Fprintf(b.out, "\nImport of an hour of Zoom WebVTT (%d KB, %d cues, %d insights), from sending the file\n", size>>10, cues, insights)
	fmt.Fprintf(b.out, "  answer %.0f ms, first insight on the socket %.0f ms, READY on the socket %.0f ms\n", ms(median(answered)), ms(median(first)), ms(median(ready)))
	return nil
}

// session plans a session with a client of the practice.
func (b *bench) session(ctx context.Context, c *child, at time.Time) (made session.ID, err error) {
	var out struct {
		CreateSession struct {
			Session    struct{ ID string }
			UserErrors refusals
		}
	}
	if err := b.mutate(ctx, c, `mutation($in: CreateSessionInput!) { createSession(input: $in) { session { id } userErrors { message } } }`,
		map[string]any{"in": map[string]any{"engagementId": b.practice.Engagement.String(), "startsAt": at}}, &out); err != nil {
		return made, err
	}
	if err := out.CreateSession.UserErrors.err(); err != nil {
		return made, err
	}
	return made, made.UnmarshalGQL(out.CreateSession.Session.ID)
}

type imported struct {
	answered, first, ready time.Duration
	insights               int
}

func (b *bench) importOnce(ctx context.Context, c *child, file []byte) (r imported, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	meeting, err := b.session(ctx, c, time.Date(2025, 1, 1, 10, 0, 0, 0, time.UTC))
	if err != nil {
		return r, err
	}
	s, err := c.dial(ctx, b.token)
	if err != nil {
		return r, err
	}
	defer s.close()
	// From the beginning, so that it does not matter when the subscription takes hold.
	secret, err := pgstream.Key(ctx, b.db, b.practice.Viewer.Org)
	if err != nil {
		return r, err
	}
	after := string(secret.Cursor(session.SessionTopic(meeting), 0))
	if err := s.subscribe(ctx, 1, meeting.String(), &after); err != nil {
		return r, err
	}
	time.Sleep(200 * time.Millisecond) // and that its taking hold is not measured

	begin := time.Now()
	failed := make(chan error, 1)
	go func() {
		var out struct {
			ImportTranscript struct {
				UserErrors refusals
			}
		}
		err := b.mutate(ctx, c, `mutation($in: ImportTranscriptInput!) { importTranscript(input: $in) { transcript { id status } userErrors { message } } }`,
			map[string]any{"in": map[string]any{"sessionId": meeting.String(), "content": string(file), "filename": "recording.vtt"}}, &out)
		if err == nil {
			err = out.ImportTranscript.UserErrors.err()
		}
		r.answered = time.Since(begin)
		if err != nil {
			cancel() // nobody will hear of it
		}
		failed <- err
	}()
	for {
		raw, err := s.next(ctx)
		if err != nil {
			return r, errors.Join(err, <-failed)
		}
		var e struct {
			Data struct {
				InsightEvents struct {
					Typename   string `json:"__typename"`
					Transcript struct{ Status string }
				}
			}
		}
		if err := json.Unmarshal(raw, &e); err != nil {
			return r, err
		}
		switch e.Data.InsightEvents.Typename {
		case "InsightAdded":
			if r.insights++; r.insights == 1 {
				r.first = time.Since(begin)
			}
		case "TranscriptStateChanged":
			switch e.Data.InsightEvents.Transcript.Status {
			case "READY":
				r.ready = time.Since(begin)
				if r.insights == 0 {
					return r, errors.New("an hour of talk and no insight")
				}
				return r, <-failed
			case "NEEDS_SPEAKERS":
				return r, errors.New("nobody can tell who is who")
			case "FAILED":
				return r, errors.New("the analysis failed")
			}
		}
	}
}
