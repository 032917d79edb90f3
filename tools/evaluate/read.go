package main

import (
	"bufio"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// The labels of the annotation.
var (
	behaviours = []string{"question", "reflection", "therapist_input", "other"}
	talkTypes  = []string{"change", "neutral", "sustain"}
	yesNo      = []string{"True", "False"}
	subtypes   = []string{"open", "closed"}
)

// talk is an annotated conversation.
type talk struct {
	id    string
	video string // its URL
	high  bool   // a demonstration of good practice
	rows  []row  // in the order of the conversation
}

// row is an annotated utterance: of a therapist with behaviour and asks, of a client with leans.
type row struct {
	line      int
	order     int
	therapist bool
	text      string
	behaviour string
	asks      bool
	subtype   string // of the question; "" without one
	leans     string
}

var columns = []string{
	"transcript_id", "mi_quality", "video_url", "utterance_id", "interlocutor", "utterance_text",
	"main_therapist_behaviour", "client_talk_type", "question_exists", "question_subtype",
}

// maxProblems is how many wrong lines are listed before reading is given up.
const maxProblems = 20

// read reads annotated conversations. Its error lists what is wrong by line: a conversation that is half understood would
// give figures that are half right.
func read(file io.Reader) ([]talk, error) {
	buffered := bufio.NewReader(file)
	if mark, err := buffered.Peek(3); err == nil && string(mark) == "\ufeff" {
		_, _ = buffered.Discard(3)
	}
	r := csv.NewReader(buffered)
	header, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the file is empty")
	} else if err != nil {
		return nil, err
	}
	at := map[string]int{}
	for i, name := range header {
		at[strings.TrimSpace(name)] = i
	}
	var missing []string
	for _, c := range columns {
		if _, ok := at[c]; !ok {
			missing = append(missing, c)
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("line 1: columns missing: %s", strings.Join(missing, ", "))
	}

	var talks []talk
	index := map[string]int{}
	var problems []error
	for len(problems) < maxProblems {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		line, _ := r.FieldPos(0)
		p := parser{line: line, record: record, at: at}
		row := p.row()
		id, video := p.some("transcript_id"), p.some("video_url")
		high := p.label("mi_quality", "high", "low") == "high"
		i, known := index[id]
		if !known {
			i = len(talks)
			index[id] = i
			talks = append(talks, talk{id: id, video: video, high: high})
		}
		if t := talks[i]; t.high != high || t.video != video {
			p.wrong("transcript %s is of one quality and one video above, of another here", id)
		}
		talks[i].rows = append(talks[i].rows, row)
		problems = append(problems, p.problems...)
	}
	if len(problems) >= maxProblems {
		problems = append(problems, errors.New("and perhaps more: reading stopped here"))
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	if len(talks) == 0 {
		return nil, errors.New("there is a header and no utterance")
	}
	for _, t := range talks {
		slices.SortStableFunc(t.rows, func(a, b row) int { return cmp.Compare(a.order, b.order) })
	}
	return talks, nil
}

// parser reads a line.
type parser struct {
	line     int
	record   []string
	at       map[string]int
	problems []error
}

func (p *parser) wrong(format string, args ...any) {
	p.problems = append(p.problems, fmt.Errorf("line %d: %s", p.line, fmt.Sprintf(format, args...)))
}

func (p *parser) get(column string) string { return strings.TrimSpace(p.record[p.at[column]]) }

func (p *parser) some(column string) string {
	v := p.get(column)
	if v == "" {
		p.wrong("%s is empty", column)
	}
	return v
}

func (p *parser) label(column string, known ...string) string {
	v := p.get(column)
	if !slices.Contains(known, v) {
		p.wrong("%s is %q, which is none of %s", column, v, strings.Join(known, ", "))
	}
	return v
}

func (p *parser) row() row {
	r := row{line: p.line, text: p.get("utterance_text")}
	order, err := strconv.Atoi(p.get("utterance_id"))
	if err != nil {
		p.wrong("utterance_id is %q, which is no number", p.get("utterance_id"))
	}
	r.order = order
	switch p.label("interlocutor", "therapist", "client") {
	case "therapist":
		r.therapist = true
		r.behaviour = p.label("main_therapist_behaviour", behaviours...)
		r.asks = p.label("question_exists", yesNo...) == "True"
		if r.asks {
			r.subtype = p.label("question_subtype", subtypes...)
		}
	case "client":
		r.leans = p.label("client_talk_type", talkTypes...)
	}
	return r
}
