package format

import (
	"math/bits"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/text/language"
)

// languageTag is BCP 47 for what a file calls its language, "" for what is no language: somebody's own use of the word.
func languageTag(s string) string {
	s = strings.TrimSpace(s)
	for _, l := range languages {
		if strings.EqualFold(s, l.name) {
			return l.tag
		}
	}
	tag, err := language.Parse(s)
	if err != nil || tag == language.Und {
		return ""
	}
	return tag.String()
}

// languages that can be told by their words, with the words that carry their sentences. Words that several of them have
// count for each: what decides is the sum. Those without a tag are here because they would be taken for a relative.
var languages = []struct{ tag, name, words string }{
	{"en", "English", "the and to of a i you that it is in was for my have with me we be what but not so this are do your " +
		"they on just if know like there at can think how would about it's i'm don't that's did had when because been were he she"},
	{"de", "German", "der die das und ich nicht ist es ein eine zu in sie wir du mir mich mit auf für auch war so wie aber was " +
		"den dem noch nur schon dass wenn hat habe haben kann man sich von im ja oder bei da dann mal sehr"},
	{"fr", "French", "le la les de des et je tu il elle nous vous que qui ne pas est un une en dans ce c'est j'ai mais pour sur " +
		"avec ça on plus me se moi au du comme être avait était quand parce très bien alors qu'il d'accord sont si"},
	{"es", "Spanish", "el la los las de que y en un una es no me lo se por con para mi pero como más muy yo tú eso esto está " +
		"cuando porque si sí qué ya hay ha había fue ser al del nos te le bien también entonces estoy tengo"},
	{"it", "Italian", "il lo la i gli le di che e è un una in non mi si per con ma come più io tu lei noi anche questo questa quello " +
		"quando perché sono ho ha hai era c'è del della al nel se molto bene cosa allora poi po' ci"},
	{"pt", "Portuguese", "o a os as de que e em um uma é não me se por com para mas como mais muito eu você ele ela isso isto está " +
		"quando porque sim já há tem foi ser ao do da no na nos eu tenho estou também então bem meu minha"},
	{"nl", "Dutch", "de het een en van ik je dat is niet in te we wat maar ook op voor met er zijn was dan als heb heeft hebben " +
		"kan nog wel naar aan om die dit hoe ze mij me mijn jij hij zij want omdat heel meer goed moet"},
	{"", "Catalan", "el la els les de que i en un una és no em ho es per amb a mi però com més molt jo tu això aquest està quan perquè " +
		"si què ja hi ha havia fou ser al del dels us li bé també llavors va vam vas van meva seva cosa té tenia pot"},
	{"", "Galician", "o a os as de que e en un unha é non me se por con para min pero como máis moito eu ti el isto iso está cando " +
		"porque si xa hai ha foi ser ao do da no na nos teño estou tamén entón ben meu miña cousa pode isto"},
	{"", "Afrikaans", "die 'n en van ek jy dat is nie in te ons wat maar ook op vir met daar was as het kan nog wel na om dit hoe hulle my " +
		"hy sy want omdat meer goed moet jou dis gaan sal sê so iets toe laas"},
}

// languageIndex says which languages have a word, one bit each.
var languageIndex = sync.OnceValue(func() map[string]uint16 {
	index := map[string]uint16{}
	for i, l := range languages {
		for word := range strings.FieldsSeq(l.words) {
			index[word] |= 1 << i
		}
	}
	return index
})

// How sure a guess must be. Of 100 words of talk, 40 to 75 are in the list of their language, and at most two thirds as many
// in that of a relative; of a language that has no list here, up to 15 are in one.
const (
	guessFrom        = 12    // words that are in the list: less is no evidence
	guessSharePct    = 33    // of all words
	guessLeadPct     = 150   // of what the second language has
	guessMostWords   = 3_000 // more words tell no more
	guessLatinPct    = 90    // of all letters
	guessLongestWord = 20    // bytes; no word of the lists is as long
)

// guessLanguage tells the language by the words that carry sentences; "" if unsure, which it is for few words, for mixed
// languages and for all that are not in the list.
func guessLanguage(utterances []Utterance) string {
	index := languageIndex()
	hits := make([]int, len(languages))
	words, letters, latin := 0, 0, 0
	var lower [guessLongestWord * 2]byte
	for _, u := range utterances {
		for word := range strings.FieldsSeq(u.Text) {
			word = strings.TrimFunc(word, func(r rune) bool { return !unicode.IsLetter(r) && r != '\'' && r != '’' })
			if word == "" {
				continue
			}
			words++
			for _, r := range word {
				if unicode.IsLetter(r) {
					letters++
					if unicode.Is(unicode.Latin, r) {
						latin++
					}
				}
			}
			if len(word) > guessLongestWord {
				continue
			}
			key := lower[:0]
			for _, r := range word {
				if r == '’' {
					r = '\''
				}
				key = append(key, string(unicode.ToLower(r))...)
			}
			for set := index[string(key)]; set != 0; set &= set - 1 {
				hits[bits.TrailingZeros16(set)]++
			}
		}
		if words >= guessMostWords {
			break
		}
	}
	first, second := 0, 0
	for i := range languages {
		if hits[i] > hits[first] {
			first = i
		}
	}
	for i := range languages {
		if i != first {
			second = max(second, hits[i])
		}
	}
	if best := hits[first]; best < guessFrom || best*100 < words*guessSharePct || best*100 < second*guessLeadPct ||
		latin*100 < letters*guessLatinPct {
		return ""
	}
	return languages[first].tag
}
