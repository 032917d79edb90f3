package openai

import (
	"bytes"
	"encoding/json"
	"slices"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/rapporthq/rapport/internal/platform/llm"
)

// answer is an answer that is coming in.
type answer struct {
	model   *Model
	request llm.Request
	input   int
	call    func(llm.Call) error

	begun      bool // the service has taken the request, which costs
	handedOn   bool
	called     error // of call
	building   map[int]*building
	said       []byte // that is no call: words, a refusal
	refused    bool
	finish     string
	unreadable int
	told       *llm.Usage // what the service says it has cost
}

// building is a call of a tool whose arguments are still coming.
type building struct {
	tool string
	text
	depth    int
	inString bool
	escaped  bool
	complete bool
}

// usage is what the service says, or else what is counted.
func (a *answer) usage() (u llm.Usage) {
	switch {
	case a.told != nil:
		u = *a.told
	case a.begun:
		output := a.model.Tokens(string(a.said))
		for _, b := range a.building {
			output += a.model.Tokens(b.tool) + a.model.Tokens(b.text.String())
		}
		u = a.model.usage(a.input, output)
	}
	u.Unreadable = a.unreadable
	return u
}

// chunk is an event, as far as it is of use.
type chunk struct {
	Choices []struct {
		Delta struct {
			Content   string `json:"content"`
			Refusal   string `json:"refusal"`
			ToolCalls []struct {
				Index    int `json:"index"`
				Function struct {
					Name      string          `json:"name"`
					Arguments json.RawMessage `json:"arguments"` // raw, for they may be cut inside a character
				} `json:"function"`
			} `json:"tool_calls"`
		} `json:"delta"`
		Finish string `json:"finish_reason"`
	} `json:"choices"`
	Usage *struct {
		Prompt     int `json:"prompt_tokens"`
		Completion int `json:"completion_tokens"`
	} `json:"usage"`
}

func (a *answer) event(data []byte) error {
	var c chunk
	if err := json.Unmarshal(data, &c); err != nil {
		return &llm.Error{Kind: llm.Malformed, Reason: "an event is no JSON"}
	}
	if c.Usage != nil {
		u := a.model.usage(c.Usage.Prompt, c.Usage.Completion)
		a.told = &u
	}
	for _, choice := range c.Choices {
		a.said = append(append(a.said, choice.Delta.Content...), choice.Delta.Refusal...)
		a.refused = a.refused || choice.Delta.Refusal != ""
		for _, t := range choice.Delta.ToolCalls {
			if a.building == nil {
				a.building = map[int]*building{}
			}
			b := a.building[t.Index]
			if b == nil {
				b = &building{}
				a.building[t.Index] = b
			}
			b.tool += t.Function.Name
			if b.add(t.Function.Arguments) {
				if err := a.handOn(b); err != nil {
					return err
				}
			}
		}
		if choice.Finish != "" {
			a.finish = choice.Finish
		}
	}
	return nil
}

// handOn hands a complete call on, if it is one.
func (a *answer) handOn(b *building) error {
	arguments := bytes.TrimSpace(b.bytes())
	offered := slices.ContainsFunc(a.request.Tools, func(t llm.Tool) bool { return t.Name == b.tool })
	if !offered || !json.Valid(arguments) || arguments[0] != '{' {
		a.unreadable++
		return nil
	}
	a.handedOn = true
	a.called = a.call(llm.Call{Tool: b.tool, Arguments: arguments})
	return a.called
}

// end judges an answer that is over.
func (a *answer) end() error {
	if a.finish == "" {
		return &llm.Error{Kind: llm.Unavailable, Reason: "the answer broke off"}
	}
	cut := 0
	for _, b := range a.building {
		if !b.complete {
			cut++
		}
	}
	switch {
	case a.finish == "length":
		return &llm.Error{Kind: llm.TooLong, Reason: "the answer is longer than there is room for"}
	case a.finish == "content_filter", a.refused, len(a.building) == 0 && len(a.said) > 0: // it answers in words: that it would rather not
		return &llm.Error{Kind: llm.Refused, Reason: "the model does not answer this"}
	case len(a.building) == 0:
		return &llm.Error{Kind: llm.Malformed, Reason: "the answer is empty"}
	}
	a.unreadable += cut
	return nil
}

// add takes more of the arguments and tells whether they are complete with that.
func (b *building) add(raw json.RawMessage) bool {
	from := len(b.utf8)
	b.text.add(raw)
	if b.complete {
		return false
	}
	for _, c := range b.utf8[from:] {
		switch {
		case b.escaped:
			b.escaped = false
		case b.inString:
			b.inString, b.escaped = c != '"', c == '\\'
		case c == '"':
			b.inString = true
		case c == '{', c == '[':
			b.depth++
		case c == '}', c == ']':
			b.depth--
			b.complete = b.depth <= 0
		}
		if b.complete {
			break
		}
	}
	return b.complete
}

// text is put together from JSON strings that may have been cut anywhere, inside a character, too: what encoding/json would replace,
// half a character, waits here for its other half.
type text struct {
	utf8 []byte
	high rune // the first half of a pair of surrogates; 0 if none waits
}

// bytes is the text; what no second half came for is replaced.
func (t *text) bytes() []byte { return bytes.ToValidUTF8(t.utf8, []byte(string(utf8.RuneError))) }

func (t *text) String() string { return string(t.bytes()) }

// add appends the value of a JSON string, which is valid JSON but may hold anything between the quotes. What is no string is nothing.
func (t *text) add(raw json.RawMessage) {
	if len(raw) < 2 || raw[0] != '"' {
		return
	}
	for s := raw[1 : len(raw)-1]; len(s) > 0; {
		if s[0] != '\\' {
			t.put(s[0])
			s = s[1:]
			continue
		}
		if s[1] == 'u' {
			t.unit(hex(s[2:6]))
			s = s[6:]
			continue
		}
		t.put(unescaped(s[1]))
		s = s[2:]
	}
}

func (t *text) put(c byte) {
	t.loseHigh()
	t.utf8 = append(t.utf8, c)
}

// unit appends a UTF-16 unit.
func (t *text) unit(r rune) {
	if t.high != 0 {
		if whole := utf16.DecodeRune(t.high, r); whole != utf8.RuneError {
			t.high = 0
			t.utf8 = utf8.AppendRune(t.utf8, whole)
			return
		}
	}
	t.loseHigh()
	if 0xd800 <= r && r < 0xdc00 {
		t.high = r
		return
	}
	t.utf8 = utf8.AppendRune(t.utf8, r)
}

func (t *text) loseHigh() {
	if t.high != 0 {
		t.high = 0
		t.utf8 = utf8.AppendRune(t.utf8, utf8.RuneError)
	}
}

func hex(digits []byte) (r rune) {
	for _, c := range digits {
		switch {
		case c <= '9':
			r = r<<4 | rune(c-'0')
		default:
			r = r<<4 | rune(c|0x20-'a'+10)
		}
	}
	return r
}

func unescaped(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 't':
		return '\t'
	case 'r':
		return '\r'
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	}
	return c
}
