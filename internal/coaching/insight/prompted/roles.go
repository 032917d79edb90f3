package prompted

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/platform/llm"
)

// proposeRoles asks who is who, where nobody could tell so far. The beginning of a conversation is enough for that. The model sees none of
// the roles that are known: so the question stays the same, and its answer free, when some of them are.
func (r *reading) proposeRoles(ctx context.Context) error {
	open := func(u conversation.Utterance) bool {
		return role(r.Conversation, u.Speaker) == conversation.RoleUnknown
	}
	if !r.RolesOpen || !slices.ContainsFunc(r.Utterances, open) {
		return nil
	}
	c := r.Conversation
	c.Speakers = slices.Clone(c.Speakers)
	for i := range c.Speakers {
		c.Speakers[i].Role = conversation.RoleUnknown
	}
	asking := &reading{Analyser: r.Analyser, Conversation: c, to: r.to, lines: lines(c, r.model.Tokens)}
	proposed := map[int]insight.RoleProposal{}
	take := func(_ window, c llm.Call) error { return asking.roles(c, proposed) }
	// A refusal is the answer that nobody knows.
	if err := asking.ask(ctx, windows(asking.lines, rolesTokens, rolesLines, 0)[0], rolesPrompt, rolesTools, take); err != nil || len(proposed) == 0 {
		return err
	}
	// Only now, when the answer is whole and kept: the report may want the analysis to begin anew.
	all := make([]insight.RoleProposal, 0, len(proposed))
	for _, speaker := range slices.Sorted(maps.Keys(proposed)) {
		all = append(all, proposed[speaker])
	}
	return r.to.Roles(all)
}

// roles takes an answer, if it is one: of speakers that there are, each once, with one coach at most.
func (r *reading) roles(c llm.Call, proposed map[int]insight.RoleProposal) error {
	var in struct {
		Roles []struct {
			Speaker    string            `json:"speaker"`
			Role       conversation.Role `json:"role"`
			Confidence float64           `json:"confidence"`
		} `json:"roles"`
	}
	if err := json.Unmarshal(c.Arguments, &in); err != nil {
		return r.reject()
	}
	seen := map[int]insight.RoleProposal{}
	coaches := 0
	for _, p := range in.Roles {
		speaker := slices.Index(r.labels(), p.Speaker)
		if _, twice := seen[speaker]; twice || speaker < 0 || !slices.Contains(roles, string(p.Role)) || p.Confidence < 0 || p.Confidence > 1 {
			return r.reject()
		}
		seen[speaker] = insight.RoleProposal{Speaker: speaker, Role: p.Role, Confidence: p.Confidence}
		if p.Role == conversation.RoleCoach {
			coaches++
		}
	}
	if coaches > 1 {
		return r.reject()
	}
	for speaker, p := range seen {
		if p.Role != conversation.RoleUnknown {
			proposed[speaker] = p
		}
	}
	return nil
}

func (r *reading) labels() []string {
	all := make([]string, len(r.Speakers))
	for i := range all {
		all[i] = label(i)
	}
	return all
}
