package insight

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/platform/event"
)

// untold are the kinds of insight whose mere existence says something that is for the coach alone, or about how the client is: other
// systems, and whoever reads along there, do not hear of them.
var untold = []Kind{KindCoachSkill, KindRiskFlag}

// news is what other systems are told of an insight: nothing if it is of a kind that they do not hear of.
func (i *Insight) news(what string) []event.News {
	if slices.Contains(untold, i.Kind) {
		return nil
	}
	return []event.News{{Type: what, Subject: i.ID, Data: event.Data{"insightId": i.ID, "kind": string(i.Kind), "transcriptId": i.TranscriptID}}}
}

// reviewed is what they are told of one that a person has decided about.
func (i *Insight) reviewed() []event.News {
	all := i.news("insight.reviewed")
	for _, n := range all {
		n.Data["status"] = string(i.Status)
	}
	return all
}

// announce tells other systems about insights of a session.
func (s *Service) announce(ctx context.Context, tx pgx.Tx, ref session.Ref, all ...event.News) error {
	for _, n := range all {
		n.Data["sessionId"], n.Data["clientId"], n.Data["coachId"] = ref.ID, ref.ClientID, ref.CoachID
	}
	return s.outbox.Add(ctx, tx, ref.Org, all...)
}
