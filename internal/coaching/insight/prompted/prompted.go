// Package prompted is the analyser that asks a language model.
//
// The model answers by calling tools, and by nothing else: what it says is read, checked and reported as a proposal, like that of any
// analyser, and it has no way of doing anything. What was said in the conversation goes to it as data, never among its instructions.
package prompted

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/rapporthq/rapport/internal/coaching/coding"
	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/insight/rules"
	"github.com/rapporthq/rapport/internal/platform/llm"
)

// Version is raised whenever a change of this package, beside the prompts, can change a finding.
const Version = "1"

// How much of a conversation the model sees at once. An hour fits into one window of findings; codes are limited by the answer, which
// has an entry for each utterance.
const (
	findingsTokens, findingsLines = 24_000, 2_000
	codesTokens, codesLines       = 6_000, 80
	rolesTokens, rolesLines       = 6_000, 200
	overlap                       = 12 // lines

	maxQuotes = 5 // of one finding
)

// Analyser asks a model. It is safe for concurrent use.
type Analyser struct {
	name  string
	model llm.Model
}

var _ insight.Analyser = (*Analyser)(nil)

// New returns an analyser over a model of the named service.
func New(service string, m llm.Model) *Analyser { return &Analyser{service, m} }

// Engine implements insight.Analyser.
func (a *Analyser) Engine() insight.Engine {
	return insight.Engine{Name: a.name, Version: Version, Model: a.model.Name(), PromptVersion: PromptVersion}
}

// Analyse implements insight.Analyser: who is who, if that is open, then findings and points as they come, part by part, then codes, then the evidence of skills. A part
// that the model refuses does not keep it from the others; the refusal is returned at the end.
func (a *Analyser) Analyse(ctx context.Context, c insight.Conversation, to insight.Report) error {
	r := &reading{Analyser: a, Conversation: c, to: to, merger: newMerger(), skills: evidence{}}
	if err := r.proposeRoles(ctx); err != nil {
		return err
	}
	r.lines = lines(c, a.model.Tokens)
	for _, w := range windows(r.lines, findingsTokens, findingsLines, overlap) {
		if err := r.ask(ctx, w, findingsPrompt, findingsTools, r.finding); err != nil {
			return err
		}
	}
	if slices.ContainsFunc(c.Utterances, func(u conversation.Utterance) bool { return codesOf(role(c, u.Speaker)) != nil }) {
		for _, w := range windows(r.lines, codesTokens, codesLines, overlap) {
			if err := r.ask(ctx, w, codesPrompt, codesTools, r.codes); err != nil {
				return err
			}
		}
	}
	for _, name := range skills {
		if e, ok := r.skills[insight.Skill(name)]; ok {
			if err := to.Evidence(e); err != nil {
				return err
			}
		}
	}
	return r.refused
}

// reading is an analysis at work.
type reading struct {
	*Analyser
	insight.Conversation
	to      insight.Report
	lines   []line
	merger  *merger
	skills  evidence
	refused error
}

// ask has the model look at a window. If the answer is too long, each half is asked about, and what was noted already is not noted
// again; a single line about which there is too much to say is left with what was said.
func (r *reading) ask(ctx context.Context, w window, instructions string, tools []llm.Tool, take func(window, llm.Call) error) error {
	err := r.to.Ask(ctx, r.model, llm.Request{Instructions: instructions, Material: r.material(w), Tools: tools}, func(c llm.Call) error { return take(w, c) })
	failed := llm.Failure(err)
	switch {
	case failed == nil:
		return err
	case failed.Kind == llm.Refused:
		r.refused = err
		return nil
	case failed.Kind != llm.TooLong:
		return err
	}
	first, second, ok := w.halves(overlap)
	if !ok {
		return r.reject()
	}
	if err := r.ask(ctx, first, instructions, tools, take); err != nil {
		return err
	}
	return r.ask(ctx, second, instructions, tools, take)
}

// material is what the model sees of a window.
func (r *reading) material(w window) string {
	type speaker struct {
		Speaker string            `json:"speaker"`
		Name    string            `json:"name"`
		Role    conversation.Role `json:"role"`
	}
	head := struct {
		Language string    `json:"language"`
		On       string    `json:"on"`
		Speakers []speaker `json:"speakers"`
		From     int       `json:"from"`
	}{Language: r.Language, From: r.lines[w.own].utterance}
	if !r.On.IsZero() {
		head.On = r.On.Format(time.DateOnly)
	}
	for i, s := range r.Speakers {
		head.Speakers = append(head.Speakers, speaker{label(i), s.Name, role(r.Conversation, i)})
	}
	first, err := json.Marshal(head)
	if err != nil {
		panic(err) // plain strings
	}
	var b strings.Builder
	b.Write(first)
	for _, l := range r.lines[w.first:w.end] {
		b.WriteString("\n" + l.json)
	}
	return b.String()
}

// cited is a quote as the model writes it.
type cited struct {
	First int    `json:"first"`
	Last  int    `json:"last"`
	Quote string `json:"quote"`
}

// finding takes a call of one of the findings' tools.
func (r *reading) finding(w window, c llm.Call) error {
	var in struct {
		Kind       insight.Kind          `json:"kind"`
		Topic      string                `json:"topic"`
		Heading    insight.Heading       `json:"heading"`
		Skill      insight.Skill         `json:"skill"`
		Level      insight.EvidenceLevel `json:"level"`
		Title      string                `json:"title"`
		Body       string                `json:"body"`
		Text       string                `json:"text"`
		Paragraph  string                `json:"paragraph"`
		Speaker    string                `json:"speaker"`
		Due        string                `json:"due"`
		Confidence float64               `json:"confidence"`
		Citations  []cited               `json:"citations"`
	}
	if err := json.Unmarshal(c.Arguments, &in); err != nil {
		return r.reject()
	}
	quotes, own := r.quotes(w, in.Citations)
	switch c.Tool {
	case recordInsight, recordCommitment:
		f := insight.Finding{
			Kind: in.Kind, Title: oneLine(in.Title, 200), Body: oneLine(in.Body, 1000), Confidence: in.Confidence, Citations: quotes,
		}
		if c.Tool == recordCommitment {
			f.Kind, f.Commitment = insight.KindCommitment, r.commitment(in.Speaker, in.Due, quotes)
		} else if !slices.Contains(insightKinds, string(f.Kind)) {
			return r.reject()
		}
		if f.Kind == insight.KindTheme {
			f.Topic = oneLine(in.Topic, 60)
		}
		f.Audience = audiences[f.Kind]
		if !own || r.stand(quotes) && !r.merger.isNew(string(f.Kind), f.Title, quotes) {
			return nil
		}
		return r.to.Insight(f)
	case recordPoint:
		p := insight.Point{Heading: in.Heading, Text: oneLine(in.Text, 500), Citations: quotes}
		if p.Text == "" || !slices.Contains(headings, string(p.Heading)) {
			return r.reject()
		}
		if !own || r.stand(quotes) && !r.merger.isNew(string(p.Heading), p.Text, quotes) {
			return nil
		}
		return r.to.Point(p)
	case recordSkill:
		e := insight.Evidence{Skill: in.Skill, Level: in.Level, Paragraph: oneLine(in.Paragraph, 1000)}
		if e.Paragraph == "" || !slices.Contains(skills, string(e.Skill)) || !slices.Contains(levels, string(e.Level)) {
			return r.reject()
		}
		if e.Level == insight.Observed {
			if e.Citations = quotes; !r.stand(quotes) {
				return r.reject()
			}
		}
		r.skills.add(e)
	}
	return nil
}

// quotes are what a call cites, and whether it is this window's to note: what rests only on the lines of the part before is that part's.
// A quote from beyond the window is one that the model cannot have seen.
func (r *reading) quotes(w window, all []cited) (quotes []insight.Quote, own bool) {
	own = len(all) == 0
	first, from, last := r.lines[w.first].utterance, r.lines[w.own].utterance, r.lines[w.end-1].utterance
	for _, q := range all[:min(len(all), maxQuotes)] {
		if q.First < first || q.Last > last || q.Last < q.First {
			q.First, q.Last = -1, -1 // which stands nowhere
		}
		own = own || q.Last >= from || q.Last < 0
		quotes = append(quotes, insight.Quote{Text: q.Quote, First: q.First, Last: q.Last})
	}
	return quotes, own
}

// stand tells whether there are quotes and all are in the transcript. Whoever takes the analysis checks that again, and counts what is
// not; here it keeps what nobody said from being taken for the first mention of something.
func (r *reading) stand(quotes []insight.Quote) bool {
	return len(quotes) > 0 && !slices.ContainsFunc(quotes, func(q insight.Quote) bool { return !insight.Stands(r.Utterances, q) })
}

// commitment is who is going to do it and when, as far as it was said: the time must stand in what is quoted.
func (r *reading) commitment(speaker, due string, quotes []insight.Quote) *insight.Commitment {
	c := insight.Commitment{Speaker: slices.IndexFunc(r.Speakers, func(s conversation.Speaker) bool { return s.Name != "" && s.Name == speaker })}
	for i := range r.Speakers {
		if label(i) == speaker {
			c.Speaker = i
		}
	}
	if c.Speaker < 0 {
		return nil
	}
	if due = oneLine(due, 100); due != "" && slices.ContainsFunc(quotes, func(q insight.Quote) bool { return strings.Contains(plain(q.Text), plain(due)) }) {
		c.Due, c.DueOn = due, rules.DueOn(due, r.On)
	}
	return &c
}

// codes takes the codes of a window's own utterances.
func (r *reading) codes(w window, c llm.Call) error {
	var in struct {
		Codes []struct {
			N          int         `json:"n"`
			Code       coding.Code `json:"code"`
			Confidence float64     `json:"confidence"`
		} `json:"codes"`
	}
	if err := json.Unmarshal(c.Arguments, &in); err != nil {
		return r.reject()
	}
	from, last := r.lines[w.own].utterance, r.lines[w.end-1].utterance
	var found []insight.Code
	for _, u := range in.Codes {
		if u.N < from || u.N > last || !slices.Contains(codesOf(role(r.Conversation, r.Utterances[u.N].Speaker)), u.Code) ||
			u.Confidence < 0 || u.Confidence > 1 {
			if err := r.reject(); err != nil {
				return err
			}
			continue
		}
		if r.merger.firstCode(u.N) {
			found = append(found, insight.Code{
				Utterance: u.N, Scheme: coding.Scheme, Code: string(u.Code), Main: true, Confidence: u.Confidence, Source: insight.SourceLLM,
			})
		}
	}
	if found == nil {
		return nil
	}
	return r.to.Codes(found)
}

func codesOf(r conversation.Role) []coding.Code {
	switch r {
	case conversation.RoleCoach:
		return coachCodes
	case conversation.RoleClient:
		return clientCodes
	}
	return nil
}

// reject has something counted that cannot be made a proposal of: a finding that cites nothing is refused.
func (r *reading) reject() error { return r.to.Insight(insight.Finding{}) }

func role(c insight.Conversation, speaker int) conversation.Role {
	if speaker < 0 || speaker >= len(c.Speakers) || c.Speakers[speaker].Role == "" {
		return conversation.RoleUnknown
	}
	return c.Speakers[speaker].Role
}

// label is what a speaker is called in the material.
func label(speaker int) string { return fmt.Sprintf("S%d", speaker+1) }

// oneLine is a text of the model without line breaks and control characters, and not longer than so many characters.
func oneLine(s string, most int) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == unicode.ReplacementChar }), " ")
	if r := []rune(s); len(r) > most {
		s = strings.TrimSpace(string(r[:most-1])) + "…"
	}
	return s
}
