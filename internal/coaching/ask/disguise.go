package ask

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/insight/pseudonym"
)

// disguised has an answerer see placeholders instead of who people are, and the report get what they stand for, as analyses do
// (docs/adr/0028). Who asks may name anybody, so the names are all that the organization knows, and those of the speakers.
func (r *run) disguised(ctx context.Context, q Question, to Report) (Question, Report, error) {
	rows, err := r.db.Query(ctx, `
		SELECT name FROM (
			SELECT c.name FROM clients c WHERE c.org_id = $1
			UNION SELECT u.name FROM memberships m JOIN users u ON u.id = m.user_id WHERE m.org_id = $1
			UNION SELECT p.name FROM participants p JOIN transcripts t ON t.org_id = $1 AND t.session_id = p.session_id WHERE p.org_id = $1 AND t.id = ANY($2)
		) AS known ORDER BY name`, r.asker.Org, r.sources)
	if err != nil {
		return q, to, err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return q, to, err
	}
	for _, p := range q.Passages {
		for _, s := range p.Speakers {
			names = append(names, s.Name)
		}
	}
	m := pseudonym.New(names)
	q.Text = m.Replace(q.Text)
	q.Earlier = slices.Clone(q.Earlier)
	for i, e := range q.Earlier {
		q.Earlier[i] = m.Replace(e)
	}
	q.Passages = slices.Clone(q.Passages)
	for i, p := range q.Passages {
		p.Speakers = slices.Clone(p.Speakers)
		for j := range p.Speakers {
			p.Speakers[j].Name = m.ReplaceName(p.Speakers[j].Name)
		}
		p.Utterances = append([]conversation.Utterance(nil), p.Utterances...)
		for j := range p.Utterances {
			p.Utterances[j].Text = m.Replace(p.Utterances[j].Text)
		}
		q.Passages[i] = p
	}
	return q, revealing{to, m}, nil
}

// revealing is a Report in which placeholders stand for what they have replaced. A sentence with one that stands for nothing is dropped like one
// that quotes what nobody said.
type revealing struct {
	Report
	names *pseudonym.Map
}

// Sentence implements Report.
func (r revealing) Sentence(p Proposal) error {
	text, known := r.names.Restore(p.Text)
	if !known {
		return r.Report.Sentence(Proposal{})
	}
	p.Text, p.Citations = text, slices.Clone(p.Citations)
	for i := range p.Citations {
		p.Citations[i].Text, _ = r.names.Restore(p.Citations[i].Text)
	}
	return r.Report.Sentence(p)
}
