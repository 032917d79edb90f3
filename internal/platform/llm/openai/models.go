package openai

import (
	"maps"
	"slices"
	"sync"

	"github.com/pkoukk/tiktoken-go"
	loader "github.com/pkoukk/tiktoken-go-loader"
)

// PricesAsOf is the day of the price list below. Prices change: whoever updates them updates it.
const PricesAsOf = "2025-06-01"

// spec is what is to be known of a model.
type spec struct {
	encoding string
	window   int   // tokens of request and answer
	in, out  int64 // dollars per billion tokens, which is nanodollars a token
}

// models are those that can be asked: what one costs has to be known before.
var models = map[string]spec{
	"gpt-4-turbo":            {"cl100k_base", 128_000, 10_000, 30_000},
	"gpt-4-turbo-2024-04-09": {"cl100k_base", 128_000, 10_000, 30_000},
	"gpt-4o":                 {"o200k_base", 128_000, 2_500, 10_000},
	"gpt-4o-2024-08-06":      {"o200k_base", 128_000, 2_500, 10_000},
	"gpt-4o-mini":            {"o200k_base", 128_000, 150, 600},
	"gpt-4o-mini-2024-07-18": {"o200k_base", 128_000, 150, 600},
}

// Models are the names of those that can be asked, in order.
func Models() []string { return slices.Sorted(maps.Keys(models)) }

// cost in millionths of a dollar, rounded up.
func (s spec) cost(input, output int) int64 {
	return (int64(input)*s.in + int64(output)*s.out + 999) / 1000
}

// tokens counts piece by piece: what the library needs grows with the square of the longest word, and a file may be one word.
func (s spec) tokens(text string) (n int) {
	encoding := encodings[s.encoding]()
	for text != "" {
		end := cut(text)
		n += len(encoding.EncodeOrdinary(text[:end]))
		text = text[end:]
	}
	return n
}

// cut is where a first piece of text ends: before a space, as words begin with theirs, or within a word that is too long.
func cut(text string) int {
	const piece, longest = 4096, 256
	word := 0
	for i := range len(text) {
		if c := text[i]; c == ' ' || c == '\n' {
			if i >= piece {
				return i
			}
			word = i
		} else if i-word >= longest {
			return i
		}
	}
	return len(text)
}

// encodings are loaded when they are needed first, from within the program: nothing is fetched.
var encodings = map[string]func() *tiktoken.Tiktoken{
	"cl100k_base": encoding("cl100k_base"),
	"o200k_base":  encoding("o200k_base"),
}

func encoding(name string) func() *tiktoken.Tiktoken {
	return sync.OnceValue(func() *tiktoken.Tiktoken {
		offline()
		e, err := tiktoken.GetEncoding(name)
		if err != nil {
			panic("openai: " + err.Error()) // it is a part of the program
		}
		return e
	})
}

// offline keeps tiktoken from downloading its tables. The setting is the library's only one, and global.
var offline = sync.OnceFunc(func() { tiktoken.SetBpeLoader(loader.NewOfflineLoader()) })
