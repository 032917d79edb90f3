package format

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestGuessLanguage: talk as people talk, invented, in the languages that can be told and in some that cannot.
func TestGuessLanguage(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ text, want string }{
		"English":          {"So what I wanted to say is that I don't know if that is the right thing for me. When we talked about it last time, you said that it was up to me, and I think you were right about that.", "en"},
		"German":           {"Ich weiß nicht, ob das für mich das Richtige ist. Als wir das letzte Mal darüber gesprochen haben, hast du gesagt, dass es an mir liegt, und ich glaube, da war was dran. Aber wie kann man so etwas wissen?", "de"},
		"French":           {"Je ne sais pas si c'est la bonne chose pour moi. La dernière fois que nous en avons parlé, vous avez dit que c'était à moi de voir, et je pense que vous aviez raison. Mais comment est-ce qu'on peut le savoir ?", "fr"},
		"Spanish":          {"No sé si eso es lo mejor para mí. La última vez que hablamos de esto me dijo que era cosa mía, y creo que tenía razón. Pero ¿cómo se puede saber algo así? Yo no lo sé, la verdad es que no.", "es"},
		"Italian":          {"Non so se questa è la cosa giusta per me. L'ultima volta che ne abbiamo parlato mi ha detto che era una mia decisione, e penso che avesse ragione. Ma come si può sapere una cosa del genere? Io non lo so.", "it"},
		"Portuguese":       {"Eu não sei se isso é o melhor para mim. Da última vez que a gente falou sobre isso, você disse que era uma decisão minha, e eu acho que você tinha razão. Mas como é que se sabe uma coisa dessas?", "pt"},
		"Dutch":            {"Ik weet niet of dat voor mij het goede is. De laatste keer dat we het erover hadden, zei je dat het aan mij was, en ik denk dat je gelijk had. Maar hoe kan je zoiets weten? Dat is wat ik niet snap.", "nl"},
		"English, shouted": {"I DON’T KNOW WHAT TO DO AND I THINK THAT YOU DO, SO WHAT IS IT THAT YOU WANT ME TO DO?", "en"},

		"Swedish":           {"Jag vet inte om det är rätt för mig. Sist vi pratade om det sa du att det var upp till mig, och jag tror att du hade rätt. Men hur kan man veta en sådan sak? Det är det som jag inte förstår.", ""},
		"Danish":            {"Jeg ved ikke, om det er det rigtige for mig. Sidst vi talte om det, sagde du, at det var op til mig, og jeg tror, du havde ret. Men hvordan kan man vide sådan noget? Det er det, jeg ikke forstår.", ""},
		"Polish":            {"Nie wiem, czy to jest dla mnie dobre. Kiedy ostatnio o tym rozmawialiśmy, powiedziałeś, że to zależy ode mnie, i myślę, że miałeś rację. Ale skąd można to wiedzieć? Tego właśnie nie rozumiem.", ""},
		"Finnish":           {"En tiedä, onko se minulle oikea asia. Kun viimeksi puhuimme siitä, sanoit että se on minusta kiinni, ja luulen että olit oikeassa. Mutta mistä sellaisen voi tietää? Sitä minä en ymmärrä.", ""},
		"Turkish":           {"Bunun benim için doğru olup olmadığını bilmiyorum. Geçen sefer konuştuğumuzda bunun bana bağlı olduğunu söyledin ve bence haklıydın. Ama insan böyle bir şeyi nasıl bilebilir? Anlamadığım şey bu.", ""},
		"Romanian":          {"Nu știu dacă asta e bine pentru mine. Ultima dată când am vorbit despre asta, ai spus că depinde de mine și cred că ai avut dreptate. Dar cum poate cineva să știe așa ceva? Asta nu înțeleg.", ""},
		"Catalan":           {"No sé si això és el millor per a mi. L'última vegada que en vam parlar em vas dir que era cosa meva, i crec que tenies raó. Però com es pot saber una cosa així? Això és el que no entenc.", ""},
		"Afrikaans":         {"Ek weet nie of dit vir my reg is nie. Laas toe ons daaroor gepraat het, het jy gesê dat dit van my afhang, en ek dink jy was reg. Maar hoe kan mens so iets weet? Dit verstaan ek nie.", ""},
		"Russian":           {"Я не знаю, правильно ли это для меня. В прошлый раз, когда мы об этом говорили, вы сказали, что это зависит от меня, и я думаю, что вы были правы.", ""},
		"Japanese":          {"それが自分にとって正しいことなのかわかりません。前回お話ししたとき、それは私次第だとおっしゃいましたよね。", ""},
		"names and numbers": {"Ann, Bob, 12, Cy; 10:30 Acme 4711 Ann Bob Zoé Lee Smith 3.5 Oslo Bern Lima Kyoto Ann Bob 12 13 14 15", ""},
		"a few words":       {"I think so, and you?", ""},
		"many names":        {"I think that you and I know what it is and that we are right: " + strings.Repeat("Ann Bob Cy Dora Emil Fritz Gustav Hanna ", 6), ""},
		"two alphabets":     {"I think that it is up to you and that we can talk about it, " + "и я думаю, что вы были правы, когда вы об этом говорили в прошлый раз", ""},
		"two languages":     {"I think that it is up to you, and that we can talk about it. Ich glaube, dass es an dir liegt, und dass wir darüber reden können. So what do you want to do about it? Also was willst du da tun, und wie kann man das wissen?", ""},
	} {
		if got := guessLanguage([]Utterance{{Text: test.text}}); got != test.want {
			t.Errorf("%s is %q", name, got)
		}
	}
}

// TestGuessOfRealFiles: meetings in English, as Zoom wrote them down.
func TestGuessOfRealFiles(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(zoomFolder, "*.vtt"))
	if err != nil || len(files) == 0 {
		t.Skip("NOT TESTED ON REAL FILES: there are none")
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := Parse(content, Options{})
		if err != nil || doc.Language != "en" {
			t.Errorf("%s: %q, %v", filepath.Base(file), doc.Language, err)
		}
	}
}

func TestLanguageTag(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"en": "en", "EN_us": "en-US", "en-gb": "en-GB", " de ": "de", "english": "en", "German": "de", "zh-Hant-TW": "zh-Hant-TW",
		"": "", "und": "", "is power": "", "auto": "", "x": "",
	} {
		if got := languageTag(in); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
		if got := languageTag(want); got != want {
			t.Errorf("%q comes back as %q", want, got)
		}
	}
	if strings.Contains(languageTag("multi"), "multi") {
		t.Error("multi is no language")
	}
}
