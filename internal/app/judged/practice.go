package judged

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/consent"
	"github.com/rapporthq/rapport/internal/coaching/engagement"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/loaders"
)

// turns is how many utterances a conversation of an invented client has.
const turns = 132

// Conversations is how many make 5,000 utterances and more.
const Conversations = 40

// world is an invented client, and what there is to talk about.
type world struct {
	Client, Field                     string
	Place, Name, Thing, Task, Trouble []string
}

// conversation is one of the n-th invented client: text for the import, made of templates. The same number gives the same text.
func conversation(n int) (who, text string, err error) {
	var of struct {
		CoachSays, ClientSays []string
		Worlds                []world
	}
	raw, err := data.ReadFile("data/distractors.json")
	if err == nil {
		err = json.Unmarshal(raw, &of)
	}
	if err != nil {
		return "", "", err
	}
	w := of.Worlds[n%len(of.Worlds)]
	random := rand.New(rand.NewPCG(uint64(n), 1))
	one := func(of []string) string { return of[random.IntN(len(of))] }
	sentence := func(template string) string {
		said := strings.NewReplacer("{field}", w.Field, "{place}", one(w.Place), "{name}", one(w.Name), "{thing}", one(w.Thing), "{task}", one(w.Task), "{trouble}", one(w.Trouble)).Replace(template)
		return strings.ToUpper(said[:1]) + said[1:]
	}
	var b strings.Builder
	for i := range turns {
		if i%2 == 0 {
			fmt.Fprintf(&b, "Ruth Calloway: %s\n\n", sentence(one(of.CoachSays)))
			continue
		}
		fmt.Fprintf(&b, "%s:", w.Client)
		for range 1 + random.IntN(3) {
			b.WriteString(" " + sentence(one(of.ClientSays)))
		}
		b.WriteString("\n\n")
	}
	return w.Client, b.String(), nil
}

// Fill adds the conversations of invented clients, as many as are wanted, to the demo: ctx is Ruth's. Jobs remain to be done.
func Fill(ctx context.Context, s loaders.Services, conversations int) (err error) {
	defer fault.Wrap(&err, "judged.Fill")
	engagements := map[string]engagement.ID{}
	for n := range conversations {
		who, text, err := conversation(n)
		if err != nil {
			return err
		}
		if _, ok := engagements[who]; !ok {
			if engagements[who], err = invent(ctx, s, who); err != nil {
				return err
			}
		}
		held, err := s.Sessions.Create(ctx, session.CreateInput{
			EngagementID: engagements[who], Type: "COACHING", StartsAt: time.Date(2025, 1, 1+n, 9, 0, 0, 0, time.UTC), DurationMinutes: 60,
		})
		if err != nil {
			return err
		}
		if _, err := s.Transcripts.Import(ctx, transcript.ImportInput{SessionID: held.ID, Content: text}); err != nil {
			return err
		}
	}
	return nil
}

// invent makes a client of that name, who agrees to everything.
func invent(ctx context.Context, s loaders.Services, who string) (key engagement.ID, err error) {
	c, err := s.Clients.Create(ctx, client.CreateInput{Name: who, Lifecycle: "ACTIVE"})
	if err != nil {
		return key, err
	}
	scopes := []consent.Scope{"RECORDING", "TRANSCRIPTION", "AI_ANALYSIS"}
	if _, err := s.Consents.Give(ctx, consent.GiveInput{SubjectID: id.Any{Prefix: "client", UUID: c.ID.UUID}, Scopes: scopes}); err != nil {
		return key, err
	}
	e, err := s.Engagements.Create(ctx, engagement.CreateInput{ClientID: c.ID, Title: who})
	if err != nil {
		return key, err
	}
	return e.ID, nil
}
