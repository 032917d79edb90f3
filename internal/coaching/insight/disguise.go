package insight

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/insight/pseudonym"
)

// namesToHide are those of the people who take part, and of the speakers, who may be somebody else.
func (r *run) namesToHide(ctx context.Context, tx pgx.Tx) ([]string, error) {
	names, err := r.transcripts.Names(ctx, tx, r.content.Session)
	for _, s := range r.content.Speakers {
		names = append(names, s.Name)
	}
	return names, err
}

// disguise has an analyser see placeholders instead of who people are, and the report get what they stand for. What an analyser does not
// see it cannot send to anybody, whatever it asks.
func disguise(c Conversation, to Report, names []string) (Conversation, Report) {
	m := pseudonym.New(names)
	c.Speakers = slices.Clone(c.Speakers)
	for i := range c.Speakers {
		c.Speakers[i].Name = m.ReplaceName(c.Speakers[i].Name)
	}
	said := make([]conversation.Utterance, len(c.Utterances))
	for i, u := range c.Utterances {
		u.Text = m.Replace(u.Text)
		said[i] = u
	}
	c.Utterances = said
	return c, revealing{to, m}
}

// revealing is a Report in which placeholders stand for what they have replaced. Quotes are looked up as they were said, and a proposal with
// a placeholder that stands for nothing is refused like one that quotes what nobody said.
type revealing struct {
	Report
	names *pseudonym.Map
}

// Insight implements Report.
func (r revealing) Insight(f Finding) error {
	known := r.reveal(&f.Title, &f.Body, &f.Topic)
	if f.Commitment != nil {
		c := *f.Commitment
		known = r.reveal(&c.Due) && known
		f.Commitment = &c
	}
	if f.Citations = r.quotes(f.Citations); !known {
		f = Finding{}
	}
	return r.Report.Insight(f)
}

// Point implements Report.
func (r revealing) Point(p Point) error {
	known := r.reveal(&p.Text)
	if p.Citations = r.quotes(p.Citations); !known {
		p = Point{}
	}
	return r.Report.Point(p)
}

// Evidence implements Report.
func (r revealing) Evidence(e Evidence) error {
	known := r.reveal(&e.Paragraph)
	if e.Citations = r.quotes(e.Citations); !known {
		return r.Report.Insight(Finding{}) // counted
	}
	return r.Report.Evidence(e)
}

// reveal is false if one of the texts has a placeholder that stands for nothing.
func (r revealing) reveal(texts ...*string) bool {
	all := true
	for _, s := range texts {
		var known bool
		*s, known = r.names.Restore(*s)
		all = all && known
	}
	return all
}

// quotes are looked up in what was said, where a placeholder that stands for nothing does not stand either.
func (r revealing) quotes(all []Quote) []Quote {
	all = slices.Clone(all)
	for i := range all {
		all[i].Text, _ = r.names.Restore(all[i].Text)
	}
	return all
}
