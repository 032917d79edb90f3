package app_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/app"
	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/coaching/transcript"
	"github.com/rapporthq/rapport/internal/platform/blob"
	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/jobs"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/testkit"
)

type uploaded struct {
	Transcript *struct {
		ID, Status string
		Format     *string
		Failure    *struct{ Code, Message string }
		Utterances struct{ TotalCount int }
		Warnings   []struct{ Line int }
	}
	Upload *struct {
		Method, URL string
		Headers     []struct{ Name, Value string }
	}
	AlreadyImported bool
	UserErrors      []struct{ Code, Field, Message string }
}

const uploadFields = `transcript {id status format failure {code message} utterances {totalCount} warnings {line}} userErrors {code field message}`

// announce asks for a link for content, with some of the input replaced.
func announce(t *testing.T, c *apptest.Client, session, content string, change apptest.Vars) uploaded {
	t.Helper()
	sum := sha256.Sum256([]byte(content))
	in := apptest.Vars{"sessionId": session, "filename": "long.vtt", "sizeBytes": len(content), "sha256": hex.EncodeToString(sum[:])}
	for name, value := range change {
		in[name] = value
	}
	var out struct{ Up uploaded }
	c.Must(t, `mutation($in: RequestTranscriptUploadInput!) {up: requestTranscriptUpload(input: $in) {`+uploadFields+`
		upload {method url headers {name value} expiresAt} alreadyImported}}`, apptest.Vars{"in": in}, &out)
	return out.Up
}

func complete(t *testing.T, c *apptest.Client, transcript string) uploaded {
	t.Helper()
	var out struct{ Up uploaded }
	c.Must(t, `mutation($id: ID!) {up: completeTranscriptUpload(input: {transcriptId: $id}) {`+uploadFields+`}}`, apptest.Vars{"id": transcript}, &out)
	return out.Up
}

func look(t *testing.T, c *apptest.Client, transcript string) uploaded {
	t.Helper()
	var out uploaded
	c.Must(t, `query($id: ID!) {transcript(id: $id) {id status format failure {code message} utterances {totalCount} warnings {line}}}`,
		apptest.Vars{"id": transcript}, &out)
	return out
}

// send follows the link as a browser does, without a token.
func (u uploaded) send(t *testing.T, content string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), u.Upload.Method, u.Upload.URL, strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range u.Upload.Headers {
		r.Header.Set(h.Name, h.Value)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	return answer.StatusCode
}

// long is a transcript that no request body takes.
func long(utterances int) string {
	var b strings.Builder
	b.WriteString("WEBVTT\n\n")
	for i := range utterances {
		fmt.Fprintf(&b, "%02d:%02d:%02d.000 --> %02d:%02d:%02d.500\n%s: What shall we do with the matter number %d, now that it has come up again and will not go away by itself?\n\n",
			i*4/3600, i*4/60%60, i*4%60, i*4/3600, i*4/60%60, i*4%60+3, []string{"Ruth Adeyemi", "Amara Osei"}[i%2], i)
	}
	return b.String()
}

func TestUpload(t *testing.T) {
	t.Parallel()
	for where, opts := range map[string][]apptest.Option{"disk": nil, "s3": inS3(t)} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			uploads(t, apptest.Demo(t, opts...))
		})
	}
}

// inS3 keeps files in a bucket of the test's own.
func inS3(t *testing.T) []apptest.Option {
	t.Helper()
	cfg := aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(testkit.AWS(t)),
		Credentials: credentials.NewStaticCredentialsProvider("123456789012", "test", ""),
	}
	bucket := "uploads-" + id.New().String()
	if _, err := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true }).CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
		t.Fatal(err)
	}
	return []apptest.Option{apptest.AppOptions(app.WithAWS(cfg)), apptest.Config(func(c *config.Config) { c.Files.S3Bucket = bucket })}
}

func uploads(t *testing.T, env *apptest.Env) {
	coach := env.Login(t, apptest.Coach)
	session, content := amara5.id(t, env), long(9000)
	if len(content) <= int(env.Config.HTTP.MaxBodyBytes) {
		t.Fatalf("%d bytes would fit into a request", len(content))
	}
	up := announce(t, coach, session, content, nil)
	if up.Transcript == nil || up.Upload == nil || up.AlreadyImported || up.Transcript.Status != "UPLOADING" || up.Transcript.Format != nil {
		t.Fatalf("announced: %+v", up)
	}
	if early := complete(t, coach, up.Transcript.ID); len(early.UserErrors) != 1 || early.UserErrors[0].Field != "transcriptId" {
		t.Errorf("completed before it came: %+v", early)
	}
	if code := up.send(t, strings.ToUpper(content)); code/100 != 4 {
		t.Errorf("other bytes: %d", code)
	}
	if code := up.send(t, content); code/100 != 2 {
		t.Fatalf("the file: %d", code)
	}
	for range 2 {
		if done := complete(t, coach, up.Transcript.ID); done.Transcript == nil || done.Transcript.Status != "UPLOADED" {
			t.Fatalf("completed: %+v", done)
		}
	}
	env.Work(t)
	if now := look(t, coach, up.Transcript.ID).Transcript; now.Status != "NEEDS_SPEAKERS" || *now.Format != "WEBVTT" || now.Utterances.TotalCount != 9000 {
		t.Errorf("afterwards: %+v", now)
	}
	if done := complete(t, coach, up.Transcript.ID); done.Transcript == nil || done.Transcript.Status != "NEEDS_SPEAKERS" {
		t.Errorf("completed once more: %+v", done)
	}
	if again := announce(t, coach, session, content, nil); !again.AlreadyImported || again.Upload != nil || again.Transcript.ID != up.Transcript.ID {
		t.Errorf("announced again: %+v", again)
	}
}

func TestUploadRefused(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	session := amara5.id(t, env)
	coach := env.Login(t, apptest.Coach)
	before := rowCounts(t, env)
	for name, tc := range map[string]struct {
		change apptest.Vars
		field  string
	}{
		"nothing":    {apptest.Vars{"sizeBytes": 0}, "sizeBytes"},
		"negative":   {apptest.Vars{"sizeBytes": -1}, "sizeBytes"},
		"too much":   {apptest.Vars{"sizeBytes": blob.MaxBytes + 1}, "sizeBytes"},
		"no sum":     {apptest.Vars{"sha256": ""}, "sha256"},
		"short sum":  {apptest.Vars{"sha256": "abcd"}, "sha256"},
		"no hex":     {apptest.Vars{"sha256": strings.Repeat("z", 64)}, "sha256"},
		"no name":    {apptest.Vars{"filename": " "}, "filename"},
		"two lines":  {apptest.Vars{"filename": "a\nb"}, "filename"},
		"everything": {apptest.Vars{"filename": "", "sha256": "", "sizeBytes": 0}, "filename"},
	} {
		if up := announce(t, coach, session, "x", tc.change); len(up.UserErrors) == 0 || up.UserErrors[0].Field != tc.field || up.Transcript != nil {
			t.Errorf("%s: %+v", name, up)
		}
	}
	for who, want := range map[string]string{apptest.Owner: "FORBIDDEN", apptest.Coach2: "NOT_FOUND", apptest.ClientUser: "FORBIDDEN", apptest.Lumen: "NOT_FOUND"} {
		r := env.Login(t, who).Do(t, `mutation($in: RequestTranscriptUploadInput!) {requestTranscriptUpload(input: $in) {alreadyImported}}`,
			apptest.Vars{"in": apptest.Vars{"sessionId": session, "filename": "a.vtt", "sizeBytes": 1, "sha256": strings.Repeat("0", 64)}})
		if r.Code() != want {
			t.Errorf("%s: %s", who, r.Body)
		}
	}
	if after := rowCounts(t, env); !maps.Equal(after, before) {
		t.Errorf("something was written: %v, before: %v", after, before)
	}
	up := announce(t, coach, session, "A: Hello.\n", nil)
	for who, want := range map[string]string{apptest.Coach2: "NOT_FOUND", apptest.ClientUser: "NOT_FOUND", apptest.Lumen: "NOT_FOUND"} {
		r := env.Login(t, who).Do(t, `mutation($id: ID!) {completeTranscriptUpload(input: {transcriptId: $id}) {transcript {id}}}`, apptest.Vars{"id": up.Transcript.ID})
		if r.Code() != want {
			t.Errorf("%s completes: %s", who, r.Body)
		}
	}
}

// What is wrong with the file is told on the transcript, and a file that was lost can be sent again.
func TestUploadFails(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session := amara5.id(t, env)

	unreadable := announce(t, coach, session, "PK\x03\x04 not a transcript", nil)
	unreadable.send(t, "PK\x03\x04 not a transcript")
	complete(t, coach, unreadable.Transcript.ID)
	env.Work(t)
	if got := look(t, coach, unreadable.Transcript.ID).Transcript; got.Status != "FAILED" || got.Failure.Code != "UNREADABLE" || got.Failure.Message == "" {
		t.Errorf("unreadable: %+v", got)
	}
	organization := value[id.UUID](t, env, `SELECT org_id FROM transcripts WHERE id = $1`, uuid(t, unreadable.Transcript.ID)).String()
	for _, line := range []string{
		`msg="a file was not read" org=` + organization + " transcript=" + unreadable.Transcript.ID + " code=UNREADABLE\n",
		`msg=request .*route=/graphql status=200 .* org=` + organization + ` user=[0-9a-f-]{36}\n`,
	} {
		if !regexp.MustCompile(line).MatchString(env.Log.String()) {
			t.Errorf("no line %s", line)
		}
	}

	content := sample(t, "zoom.vtt") + "\n"
	for _, tc := range []struct {
		code string
		harm func(path string) error
	}{
		{"FILE_MISSING", os.Remove},
		{"FILE_CHANGED", func(path string) error { return os.WriteFile(path, bytes.Repeat([]byte("x"), len(content)), 0o600) }},
		{"FILE_CHANGED", func(path string) error { return os.Truncate(path, 1<<40) }}, // no more is read than a file may hold
	} {
		code, harm := tc.code, tc.harm
		up := announce(t, coach, session, content, nil)
		if up.Upload == nil {
			t.Fatalf("%s: announced: %+v", code, up)
		}
		up.send(t, content)
		complete(t, coach, up.Transcript.ID)
		found, err := filepath.Glob(filepath.Join(env.Config.Home, "files", "*", "transcripts", "*", "original"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range found {
			if info, err := os.Stat(path); err == nil && info.Size() == int64(len(content)) {
				if err := harm(path); err != nil {
					t.Fatal(err)
				}
			}
		}
		env.Work(t)
		if got := look(t, coach, up.Transcript.ID).Transcript; got.Status != "FAILED" || got.Failure == nil || got.Failure.Code != code {
			t.Errorf("want %s: %+v", code, got)
		}
		again := announce(t, coach, session, content, nil)
		if again.Upload == nil || again.Transcript.ID != up.Transcript.ID || again.Transcript.Failure != nil {
			t.Errorf("%s, announced again: %+v", code, again)
		}
	}
	again := announce(t, coach, session, content, nil)
	again.send(t, content)
	complete(t, coach, again.Transcript.ID)
	env.Work(t)
	if got := look(t, coach, again.Transcript.ID).Transcript; got.Status != "NEEDS_SPEAKERS" {
		t.Errorf("sent again: %+v", got)
	}
}

// A sender that forgets to say so is served all the same, and an announcement that nothing follows goes away.
func TestUploadsAreSwept(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session, content := amara5.id(t, env), sample(t, "zoom.vtt")+"\n"
	came, never, young := announce(t, coach, session, content, nil), announce(t, coach, session, "never sent", nil), announce(t, coach, session, "A: Young.", nil)
	came.send(t, content)
	sweep := func(completed, removed int) {
		t.Helper()
		if c, r, err := env.App.Services().Transcripts.SweepUploads(t.Context()); err != nil || c != completed || r != removed {
			t.Errorf("swept %d, %d (%v), want %d, %d", c, r, err, completed, removed)
		}
	}
	sweep(0, 0)
	age := func(hours, size int) {
		t.Helper()
		if _, err := env.DB.Exec(t.Context(), `
			UPDATE transcripts SET created_at = now() - make_interval(hours => $1) WHERE status = 'UPLOADING' AND size_bytes = $2`, hours, size); err != nil {
			t.Fatal(err)
		}
	}
	age(2, len(content))
	age(2, len("never sent"))
	sweep(1, 0)
	age(25, len("never sent"))
	sweep(0, 1)
	env.Work(t)
	if got := look(t, coach, came.Transcript.ID).Transcript; got.Status != "NEEDS_SPEAKERS" {
		t.Errorf("the one that came: %+v", got)
	}
	if r := coach.Do(t, `query($id: ID!) {transcript(id: $id) {id}}`, apptest.Vars{"id": never.Transcript.ID}); r.Code() != "NOT_FOUND" {
		t.Errorf("the one that never came: %s", r.Body)
	}
	if got := look(t, coach, young.Transcript.ID).Transcript; got.Status != "UPLOADING" {
		t.Errorf("the young one: %+v", got)
	}
}

// A file that could not be read is brought again, as something else or by another way, as often as somebody likes, and is then what any
// import is: the session's latest, in sight, written down and told, with its original kept.
func TestFailedFilesAreBroughtAgain(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session := amara5.id(t, env)
	link := func(t *testing.T, content string, more apptest.Vars) string {
		t.Helper()
		up := announce(t, coach, session, content, more)
		if up.Upload == nil || up.AlreadyImported || up.Transcript.Status != "UPLOADING" || up.Transcript.Failure != nil {
			t.Fatalf("announced: %+v %+v", up, up.Transcript)
		}
		if code := up.send(t, content); code/100 != 2 {
			t.Fatalf("sent: %d", code)
		}
		complete(t, coach, up.Transcript.ID)
		return up.Transcript.ID
	}
	paste := func(t *testing.T, content string, more apptest.Vars) string {
		t.Helper()
		in := importInto(t, coach, session, content, more)
		if in.Transcript == nil || in.AlreadyImported || in.Transcript.Status != "PARSED" || in.Transcript.Utterances.TotalCount == 0 {
			t.Fatalf("imported: %+v", in)
		}
		return in.Transcript.ID
	}
	const byLink, byPaste = "announce complete fail announce complete parse", "announce complete fail import"
	n := 0
	for name, tc := range map[string]struct {
		again    func(*testing.T, string, apptest.Vars) string
		more     apptest.Vars
		archived bool
		trail    string
		told     int // of its states: those up to FAILED are four
	}{
		"by a link as what it is":       {link, apptest.Vars{"format": "WEBVTT"}, false, byLink, 4 + 6},
		"by a link, to be recognised":   {link, nil, false, byLink, 4 + 6},
		"by a link, archived before":    {link, nil, true, byLink, 5 + 6},
		"in a request as what it is":    {paste, apptest.Vars{"format": "WEBVTT"}, false, byPaste, 4 + 3},
		"in a request, to recognise":    {paste, nil, false, byPaste, 4 + 3},
		"in a request, archived before": {paste, apptest.Vars{"filename": "now.vtt"}, true, byPaste, 5 + 3},
	} {
		n++
		content := sample(t, "zoom.vtt") + strings.Repeat("\n", n)
		t.Run(name, func(t *testing.T) {
			key := link(t, content, apptest.Vars{"format": "JSON"})
			env.Work(t)
			if got := look(t, coach, key).Transcript; got.Status != "FAILED" || got.Failure.Code != "UNREADABLE" {
				t.Fatalf("as JSON: %+v", got)
			}
			if tc.archived {
				does(t, coach, "archiveTranscript", "transcript", "id", apptest.Vars{"id": key})
			}
			imports(t, coach, session, "A: "+name+"?\nB: Yes.\n") // a later one, which counts until then
			env.Work(t)
			if again := tc.again(t, content, tc.more); again != key {
				t.Errorf("it is another transcript")
			}
			env.Work(t)
			var out struct {
				Session struct {
					Transcript struct{ ID, Status, Format string }
				}
			}
			coach.Must(t, `query($id: ID!) {session(id: $id) {transcript {id status format}}}`, apptest.Vars{"id": session}, &out)
			if now := out.Session.Transcript; now.ID != key || now.Status != "NEEDS_SPEAKERS" || now.Format != "WEBVTT" {
				t.Errorf("what counts is %+v, want %s", now, key)
			}
			if got := fetch(t, export(t, coach, key, "ORIGINAL")); got != content {
				t.Errorf("the original has %d bytes of %d", len(got), len(content))
			}
			if got := value[string](t, env, `SELECT string_agg(split_part(action, '.', 2), ' ' ORDER BY at, id) FROM audit_events WHERE entity_id = $1
				AND split_part(action, '.', 2) IN ('announce', 'complete', 'fail', 'import', 'parse')`, uuid(t, key)); got != tc.trail {
				t.Errorf("written down: %s", got)
			}
			if got := value[int](t, env, `SELECT count(*) FROM stream_events WHERE topic = $1 AND kind = $2 AND data->>'transcriptId' = $3::uuid::text`,
				session, transcript.EventStateChanged, uuid(t, key)); got != tc.told {
				t.Errorf("told %d times, want %d", got, tc.told)
			}
		})
	}
	if n := value[int](t, env, `SELECT count(*) FROM transcript_originals`); n > 0 {
		t.Errorf("%d originals never came to the store", n)
	}
	found, err := filepath.Glob(filepath.Join(env.Config.Home, "files", "*", "transcripts", "*", "original"))
	if all := value[int](t, env, `SELECT count(*) FROM transcripts WHERE session_id = $1`, uuid(t, session)); err != nil || len(found) != all {
		t.Errorf("%d originals of %d transcripts (%v)", len(found), all, err)
	}

	// What is brought again may be unreadable again: then nothing has changed, and it can be tried once more.
	junk := "PK\x03\x04 not a transcript"
	key := link(t, junk, nil)
	env.Work(t)
	if in := importInto(t, coach, session, junk, nil); briefly(in.UserErrors) != "BINARY content" {
		t.Errorf("unreadable, in a request: %+v", in)
	}
	if got := look(t, coach, key).Transcript; got.Status != "FAILED" || got.Failure.Code != "UNREADABLE" {
		t.Errorf("unreadable, in a request: %+v", got)
	}
	if again := link(t, junk, apptest.Vars{"format": "WEBVTT"}); again != key {
		t.Error("it is another transcript")
	}
	env.Work(t)
	if got := look(t, coach, key).Transcript; got.Status != "FAILED" || got.Failure.Code != "UNREADABLE" {
		t.Errorf("unreadable, by a link: %+v", got)
	}
}

// Who brings a file again at the same moment, by both ways, makes one transcript of it, which is read once.
func TestFailedFilesAreBroughtAgainAtOnce(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session, content := amara5.id(t, env), sample(t, "zoom.vtt")+"\n"
	up := announce(t, coach, session, content, apptest.Vars{"format": "JSON"})
	up.send(t, content)
	complete(t, coach, up.Transcript.ID)
	env.Work(t)
	fresh := make([]bool, 6)
	var wg sync.WaitGroup
	for i := range fresh {
		wg.Go(func() {
			in := importInto(t, coach, session, content, nil)
			fresh[i] = in.Transcript != nil && in.Transcript.ID == up.Transcript.ID && !in.AlreadyImported
		})
		wg.Go(func() {
			again := announce(t, coach, session, content, nil)
			if again.Transcript == nil || again.Transcript.ID != up.Transcript.ID || again.AlreadyImported != (again.Upload == nil) {
				t.Errorf("announced: %+v", again)
			}
		})
	}
	wg.Wait()
	if n := len(slices.DeleteFunc(fresh, func(f bool) bool { return !f })); n != 1 {
		t.Errorf("imported %d times", n)
	}
	env.Work(t)
	if n := value[int](t, env, `SELECT count(*) FROM transcripts WHERE session_id = $1`, uuid(t, session)); n != 1 {
		t.Errorf("%d transcripts", n)
	}
	if got := look(t, coach, up.Transcript.ID).Transcript; got.Status != "NEEDS_SPEAKERS" {
		t.Errorf("in the end: %+v", got)
	}
	if n := value[int](t, env, `SELECT count(*) FROM audit_events WHERE entity_id = $1 AND action = 'transcript.import'`, uuid(t, up.Transcript.ID)); n != 1 {
		t.Errorf("imported %d times, as it is written down", n)
	}
}

// A paste of the announced file is as good as the upload, and whoever waits for that sees it come. What stands where it was to go and is
// another file is not kept.
func TestAnnouncedFileIsPasted(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session := amara5.id(t, env)
	const content = "A: Young.\nB: Old.\n"
	up := announce(t, coach, session, content, nil)
	path := filepath.Join(env.Config.Home, "files", value[string](t, env, `SELECT blob_key FROM transcripts WHERE id = $1`, uuid(t, up.Transcript.ID)))
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("something else"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if in := importInto(t, coach, session, content, nil); in.AlreadyImported || in.Transcript.ID != up.Transcript.ID || in.Transcript.Status != "PARSED" {
		t.Errorf("pasted: %+v", in)
	}
	if done := complete(t, coach, up.Transcript.ID); done.Transcript == nil || done.Transcript.Status != "PARSED" {
		t.Errorf("completed all the same: %+v", done)
	}
	env.Work(t)
	if got := look(t, coach, up.Transcript.ID).Transcript; got.Status != "NEEDS_SPEAKERS" {
		t.Errorf("in the end: %+v", got)
	}
	if got := fetch(t, export(t, coach, up.Transcript.ID, "ORIGINAL")); got != content {
		t.Errorf("the original is %q", got)
	}
	if code := up.send(t, content); code/100 != 2 {
		t.Errorf("sent all the same: %d", code)
	}
}

// The file of an archived transcript is not imported into the dark: its coach is told where it is.
func TestArchivedFileIsBroughtAgain(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	session, content := amara5.id(t, env), sample(t, "zoom.vtt")
	key := imports(t, coach, session, content)
	does(t, coach, "archiveTranscript", "transcript", "id", apptest.Vars{"id": key})
	env.Work(t)
	before := rowCounts(t, env)
	in := importInto(t, coach, session, content, nil)
	if in.Transcript != nil || in.AlreadyImported || len(in.UserErrors) != 1 || in.UserErrors[0].Code != "TRANSCRIPT_ARCHIVED" || !strings.Contains(in.UserErrors[0].Message, key) {
		t.Errorf("imported: %+v", in)
	}
	up := announce(t, coach, session, content, nil)
	if up.Transcript != nil || up.Upload != nil || up.AlreadyImported || len(up.UserErrors) != 1 || up.UserErrors[0].Code != "TRANSCRIPT_ARCHIVED" || !strings.Contains(up.UserErrors[0].Message, key) {
		t.Errorf("announced: %+v", up)
	}
	after := rowCounts(t, env)
	after["audit_events"] = before["audit_events"] // that it was looked at is written down a moment later
	sameRows(t, before, after)
	does(t, coach, "archiveTranscript", "transcript", "id", apptest.Vars{"id": key, "archived": false})
	if in := importInto(t, coach, session, content, nil); !in.AlreadyImported || in.Transcript.ID != key {
		t.Errorf("brought back: %+v", in)
	}
}

// What is imported by a mutation is kept where uploads are: byte for byte, from the moment of the import, and not for longer than the
// transcript.
func TestOriginalsAreKept(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	content := "\ufeffRuth: Hello — 🙂\r\nAmara: Hello to you.\r\n"
	key := importInto(t, coach, amara5.id(t, env), content, nil).Transcript.ID
	in := func(table string) int {
		t.Helper()
		return value[int](t, env, `SELECT count(*) FROM `+table+` WHERE transcript_id = $1`, uuid(t, key))
	}
	same := func(when string) {
		t.Helper()
		if got := fetch(t, export(t, coach, key, "ORIGINAL")); got != content {
			t.Errorf("%s: %q", when, got)
		}
	}
	same("at once")
	if in("transcript_originals") != 1 {
		t.Error("the test comes too late")
	}
	env.Work(t)
	path := filepath.Join(env.Config.Home, "files", value[string](t, env, `SELECT blob_key FROM transcripts WHERE id = $1`, uuid(t, key)))
	if raw, err := os.ReadFile(path); err != nil || string(raw) != content || in("transcript_originals") != 0 {
		t.Errorf("in the store: %q, %v", raw, err)
	}
	same("from the store")

	// As an earlier release has left it, with a job that stopped after it had stored the file.
	sql(t, env, `INSERT INTO transcript_originals (org_id, transcript_id, content) SELECT org_id, id, $2 FROM transcripts WHERE id = $1`, uuid(t, key), []byte(content))
	sql(t, env, `UPDATE transcripts SET blob_key = NULL WHERE id = $1`, uuid(t, key))
	same("as before")
	for _, want := range []int{1, 0} {
		if n, err := env.App.Services().Transcripts.SweepOriginals(t.Context()); err != nil || n != want {
			t.Errorf("swept %d, want %d (%v)", n, want, err)
		}
	}
	env.Work(t)
	same("swept")

	// Removed while the file is on its way: the job finds nothing, and leaves nothing.
	job := jobs.Job{Org: value[id.UUID](t, env, `SELECT org_id FROM transcripts WHERE id = $1`, uuid(t, key)), Kind: transcript.JobKeep, Entity: uuid(t, key)}
	sql(t, env, `DELETE FROM jobs WHERE entity_id = $1`, job.Entity)
	if err := env.App.Services().Insights.Forget(t.Context(), job.Org, transcript.ID{UUID: job.Entity}); err != nil {
		t.Fatal(err)
	}
	if err := postgres.InTx(t.Context(), env.DB, func(tx pgx.Tx) error {
		return env.App.Services().Transcripts.Remove(t.Context(), tx, job.Org, transcript.ID{UUID: job.Entity}, map[string]int{})
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	if err := env.App.Services().Transcripts.Keep(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file is left: %v", err)
	}
}

// A job that dies leaves no transcript between two states, and can be done again.
func TestUploadDies(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	up := announce(t, coach, amara5.id(t, env), "A: Hello.\nB: Well, hello to you.\n", nil)
	up.send(t, "A: Hello.\nB: Well, hello to you.\n")
	complete(t, coach, up.Transcript.ID)
	files := filepath.Join(env.Config.Home, "files")
	if err := os.Rename(files, files+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(files, nil, 0o600); err != nil { // "not a directory" is no "not found"
		t.Fatal(err)
	}
	if _, err := env.DB.Exec(t.Context(), `UPDATE jobs SET attempt = max_attempts - 1 WHERE kind = 'transcript.parse'`); err != nil {
		t.Fatal(err)
	}
	env.Work(t)
	if got := look(t, coach, up.Transcript.ID).Transcript; got.Status != "FAILED" || got.Failure.Code != "READ_FAILED" {
		t.Fatalf("after its death: %+v", got)
	}
	if err := errors.Join(os.Remove(files), os.Rename(files+".away", files)); err != nil {
		t.Fatal(err)
	}
	err := postgres.InTx(t.Context(), env.DB, func(tx pgx.Tx) error {
		return jobs.Replay(t.Context(), tx, value[id.UUID](t, env, `SELECT org_id FROM jobs WHERE kind = 'transcript.parse'`),
			value[id.UUID](t, env, `SELECT id FROM jobs WHERE kind = 'transcript.parse'`))
	})
	if err != nil {
		t.Fatal(err)
	}
	env.Work(t)
	if got := look(t, coach, up.Transcript.ID).Transcript; got.Status != "NEEDS_SPEAKERS" || got.Failure != nil {
		t.Errorf("done again: %+v", got)
	}
}
