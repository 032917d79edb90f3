package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/tools/bench/seed"
)

// liveScreen is what a coach's screen asks for while a session goes on.
const liveScreen = `subscription($session: ID!) {
  liveSession(sessionId: $session) {
    __typename
    cursor
    occurredAt
    ... on LiveStateChanged { liveSession { status endReason transcript { status } } }
    ... on LiveUtterancesSaid {
      utterances { id chunkId revision speaker role text startMs endMs final }
      metrics {
        elapsedMs sinceClientMs questionRun
        coach { talkMs talkShareOfSpeech wordCount wordsPerMinute }
        client { talkMs talkShareOfSpeech wordCount wordsPerMinute }
      }
    }
    ... on LiveNudgeGiven { nudge { kind message evidence { text } } }
    ... on LiveInsightChanged { insight { kind title } }
  }
}`

// told is what a listener looks at of an event, from either side.
type told struct {
	Typename   string    `json:"__typename"`
	Cursor     string    `json:"cursor"`
	OccurredAt time.Time `json:"occurredAt"`
}

const words = "LiveUtterancesSaid"

func (s *socket) listenTo(ctx context.Context, of session.ID) error {
	return s.send(ctx, "1", "subscribe", map[string]any{"query": liveScreen, "variables": map[string]any{"session": of.String()}})
}

// hear waits for the next event of liveSession.
func (s *socket) hear(ctx context.Context) (told, error) {
	raw, err := s.next(ctx)
	if err != nil {
		return told{}, err
	}
	var payload struct{ Data struct{ LiveSession told } }
	err = json.Unmarshal(raw, &payload)
	if err == nil && payload.Data.LiveSession.Typename == "" {
		err = fmt.Errorf("the server says %s", raw)
	}
	return payload.Data.LiveSession, err
}

// scribe sends what coach and client say in a session, one utterance in each call, as who hears them would.
type scribe struct {
	*bench
	to    *child
	of    session.ID
	words *seed.Words
	said  int
}

// goLive begins a session that is listened to. What is said in it follows from the number.
func (b *bench) goLive(ctx context.Context, c *child, number int) (*scribe, error) {
	of, err := b.session(ctx, c, time.Now())
	if err != nil {
		return nil, err
	}
	var out struct{ StartLiveSession struct{ UserErrors refusals } }
	err = b.mutate(ctx, c, `mutation($in: StartLiveSessionInput!) { startLiveSession(input: $in) { userErrors { message } } }`,
		map[string]any{"in": map[string]any{"sessionId": of.String(), "language": "en", "speakers": []any{
			map[string]any{"label": "coach", "role": "COACH"}, map[string]any{"label": "client", "role": "CLIENT"}}}}, &out)
	if err == nil {
		err = out.StartLiveSession.UserErrors.err()
	}
	return &scribe{bench: b, to: c, of: of, words: seed.NewWords(uint64(1000 + number))}, err
}

// say sends the next utterance: one every three seconds, by its clock, of client and coach in turn.
func (s *scribe) say(ctx context.Context) error {
	who := []string{"client", "coach"}[s.said%2]
	chunk := map[string]any{"chunkId": strconv.Itoa(s.said), "speaker": who, "text": s.words.Utterance(who == "coach"),
		"startMs": s.said * 3000, "endMs": s.said*3000 + 2700}
	var out struct{ AppendLiveUtterances struct{ UserErrors refusals } }
	if err := s.mutate(ctx, s.to, `mutation($in: AppendLiveUtterancesInput!) { appendLiveUtterances(input: $in) { added userErrors { message } } }`,
		map[string]any{"in": map[string]any{"sessionId": s.of.String(), "chunks": []any{chunk}}}, &out); err != nil {
		return err
	}
	s.said++
	return out.AppendLiveUtterances.UserErrors.err()
}
