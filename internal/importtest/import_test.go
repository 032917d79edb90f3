// Package importtest keeps the direction of imports that docs/architecture.md draws. It reads the import clauses of every
// file, whatever its build constraints.
package importtest

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rapporthq/rapport/internal/testkit"
)

const module = "github.com/rapporthq/rapport"

// order is the one order in which domains may know each other: each only those that stand after it. What goes upward is a
// job, an event, or a small interface declared by the consumer.
var order = []string{"ask", "search", "privacy", "live", "brief", "theme", "analytics", "insight", "goal", "note", "transcript", "coding", "conversation", "session", "engagement", "client", "consent", "tag", "org"}

// beside the order stand what every domain may use and what uses none.
var beside = []string{"audit", "deadletter", "notice", "personal"}

// pure packages compute: what they need is handed to them.
var pure = []string{"internal/coaching/conversation", "internal/coaching/coding", "internal/coaching/transcript/format", "internal/coaching/insight/pseudonym", "internal/coaching/live/meter"}

// io are the packages through which a program touches the world. What is embedded is a part of the program.
var io = []string{"os", "net", "database", "syscall", "log", "io/ioutil", "testing"}

// homes says which packages know a module from elsewhere; in tests any may. A module that is not here has no home yet.
var homes = []struct {
	sdk  string
	dirs []string
	why  string
}{
	{"github.com/99designs/gqlgen", []string{"graph", "graph/model", "resolvers", "internal/transport", "internal/app"}, "GraphQL is one way in: domains must work without it"},
	{"github.com/vektah/gqlparser", []string{"graph", "resolvers", "internal/transport", "internal/app"}, "GraphQL is one way in: domains must work without it"},
	{"github.com/jackc/pgx/v5/stdlib", []string{"internal/platform/postgres"}, "only migrations need database/sql"},
	{"github.com/jackc/pgx/v5", []string{
		"internal/platform/postgres", "internal/platform/postgres/local", "internal/platform/id", "internal/platform/page", "internal/platform/jobs",
		"internal/platform/queue/postgres", "internal/platform/event", "internal/platform/event/devbox", "internal/platform/mail/ses", "internal/platform/cache", "internal/platform/once/postgres", "internal/platform/stream", "internal/platform/stream/postgres", "internal/platform/stream/streamtest", "internal/platform/vector/exact",
		"internal/coaching/live", "internal/coaching/insight", "internal/coaching/transcript", "internal/coaching/session", "internal/coaching/engagement",
		"internal/coaching/client", "internal/coaching/consent", "internal/coaching/privacy", "internal/coaching/tag", "internal/coaching/org", "internal/coaching/audit", "internal/coaching/deadletter", "internal/coaching/notice",
		"internal/platform/textsearch/postgres", "internal/coaching/note", "internal/coaching/analytics", "internal/coaching/ask", "internal/coaching/search", "internal/coaching/theme", "internal/coaching/goal",
		"internal/app", "internal/app/demo", "internal/app/judged", "internal/app/apptest", "internal/testkit",
	}, "SQL is written where rows are kept"},
	{"github.com/pressly/goose", []string{"internal/platform/postgres"}, "migrations are postgres's"},
	{"github.com/coder/websocket", []string{"internal/transport", "internal/app/apptest"}, "WebSockets are a transport"},
	{"github.com/lestrrat-go/jwx", []string{"internal/platform/auth"}, "tokens are auth's"},
	{"github.com/sethvargo/go-envconfig", []string{"internal/platform/config"}, "the environment is read in one place"},
	{"github.com/rs/cors", []string{"internal/platform/httpx"}, "HTTP middleware is httpx's"},
	{"go.jetify.com/typeid", []string{"internal/platform/id"}, "ids are made and read in one place"},
	{"github.com/google/uuid", []string{"internal/platform/id", "internal/platform/auth", "internal/platform/httpx"}, "ids are made and read in one place"},
	{"github.com/aws/aws-sdk-go-v2/service/s3", []string{"internal/platform/blob/s3"}, "a service of AWS is one adapter's"},
	{"github.com/aws/aws-sdk-go-v2/service/sesv2", []string{"internal/platform/mail/ses"}, "a service of AWS is one adapter's"},
	{"github.com/aws/aws-sdk-go-v2/service/secretsmanager", []string{"internal/platform/secret/secretsmanager"}, "a service of AWS is one adapter's"},
	{"github.com/aws/aws-sdk-go-v2/service/sqs", []string{"internal/platform/queue/sqs"}, "a service of AWS is one adapter's"},
	{"github.com/aws/aws-sdk-go-v2/service/sns", []string{"internal/platform/event/sns"}, "a service of AWS is one adapter's"},
	{"github.com/aws/aws-sdk-go-v2", []string{"internal/platform/blob/s3", "internal/platform/event/sns", "internal/platform/mail/ses", "internal/platform/queue/sqs", "internal/platform/secret/secretsmanager", "internal/app"}, "AWS is known to its adapters, and to app, which says how it is reached"},
	{"github.com/aws/smithy-go", []string{"internal/platform/blob/s3", "internal/platform/event/sns", "internal/platform/mail/ses", "internal/platform/queue/sqs", "internal/platform/secret/secretsmanager", "internal/app"}, "AWS is known to its adapters, and to app, which says how it is reached"},
	{"github.com/aws/aws-lambda-go", []string{"internal/app"}, "Lambda is one way in"},
	{"github.com/sashabaranov/go-openai", []string{"internal/platform/llm/openai"}, "OpenAI is known to its adapter"},
	{"github.com/pkoukk", []string{"internal/platform/llm/openai"}, "tokens are counted as a model counts them"},
	{"github.com/elastic", []string{"internal/platform/textsearch/elastic"}, "Elasticsearch is known to its adapter"},
	{"github.com/sony/gobreaker", []string{"internal/platform/llm/openai", "internal/platform/embed/openai", "internal/platform/textsearch/elastic", "internal/platform/redis"}, "whom to leave alone is an adapter's to know"},
	{"github.com/viterin/vek", []string{"internal/platform/embed/local", "internal/platform/vector/exact"}, "vectors are computed where they are made and kept"},
	{"github.com/redis/go-redis", []string{"internal/platform/redis", "internal/platform/stream/redis", "internal/platform/limit/redis", "internal/platform/cache/redis", "internal/platform/once/redis"}, "what Redis holds is an adapter's to know"},
	{"github.com/go-redis/redis_rate", []string{"internal/platform/limit/redis"}, "rates in Redis are an adapter's to know"},
	{"github.com/pinecone-io/go-pinecone", []string{"internal/platform/vector/pinecone", "internal/platform/vector/pinecone/pineconetest"}, "Pinecone is known to its adapter"},
	{"google.golang.org/grpc", []string{"internal/platform/vector/pinecone", "internal/platform/vector/pinecone/pineconetest"}, "gRPC is spoken with Pinecone only"},
	{"google.golang.org/protobuf", []string{"internal/platform/vector/pinecone", "internal/platform/vector/pinecone/pineconetest"}, "gRPC is spoken with Pinecone only"},
	{"github.com/google/go-cmp", nil, "it panics by design: a test's tool"},
	{"go.uber.org/goleak", nil, "a test's tool"},
	{"github.com/santhosh-tekuri/jsonschema", nil, "a test's tool: what is published is made to fit its schema, and not judged by it"},
}

// servers run something that production has elsewhere, for development and tests.
var servers = []string{"internal/platform/postgres/local", "internal/platform/aws/ministack", "internal/platform/textsearch/elastic/local"}

// broken says which rule an import breaks and why, "" if it breaks none. from and to are directories of this module, or to
// is the path of a package from elsewhere; test says that a test file imports it.
func broken(from, to string, test bool) string {
	outside := !strings.HasPrefix(to, module)
	to = strings.TrimPrefix(strings.TrimPrefix(to, module), "/")
	if slices.Contains(pure, from) && !test {
		touches := slices.ContainsFunc(io, func(p string) bool { return outside && within(to, p) })
		knows := !outside && !slices.Contains(pure, to) && to != "internal/platform/fault"
		if touches || knows {
			return from + " is pure: what it reads is handed to it, so that it can be tested on plain values"
		}
	}
	if outside {
		return homeless(from, to, test)
	}

	switch {
	case within(to, "internal/testkit"), within(to, "internal/app/apptest"), isSuite(to):
		if !test && !within(from, "internal/testkit") && !within(from, "internal/app/apptest") && !within(from, "tools") && !isSuite(from) {
			return "only tests import what is made for tests: it must not reach production"
		}
		if within(to, "internal/app/apptest") && (within(from, "internal/platform") || within(from, "internal/coaching")) {
			return "the cellar and the ground floor are tested by themselves, not through app"
		}
		return ""
	case from == to: // an external test of the package itself
		return ""
	case isAdapter(to):
		if within(from, "internal/app") && from != "internal/app/demo" || within(from, "tools/bench") || from == "tools/evaluate" ||
			test && within(from, "internal/platform") || // an adapter is tested beside the port
			slices.Contains(servers, to) && (within(from, "internal/testkit") || from == "tools/testrun" || from == "tools/runaws") {
			return ""
		}
		return "only internal/app knows adapters: which one serves a port is configuration"
	}

	switch {
	case within(from, "internal/platform"):
		if !within(to, "internal/platform") {
			return "platform knows no coaching and nothing above it: it could serve another product"
		}
	case within(from, "internal/coaching"):
		return upward(from, to, test)
	case within(from, "graph"):
		if !within(to, "graph") && !within(to, "internal/coaching") && !within(to, "internal/platform") {
			return "graph binds the schema to coaching's types; resolvers and loaders come after it"
		}
	case from == "loaders":
		if !within(to, "internal/coaching") && !within(to, "internal/platform") {
			return "loaders batch calls of coaching's services and know no GraphQL"
		}
	case from == "internal/transport":
		if !within(to, "internal/platform") {
			return "a transport carries any schema: it knows nothing of this one"
		}
	case from == "resolvers":
		if !within(to, "graph") && to != "loaders" && to != "internal/transport" && !within(to, "internal/coaching") && !within(to, "internal/platform") {
			return "resolvers call services and loaders; app puts them together"
		}
	case within(from, "internal/app"), within(from, "tools/bench"), from == "tools/evaluate": // they measure the house from inside; only tests use the bench's seed
	case from == "", within(from, "cmd"), within(from, "tools"), within(from, "internal/testkit"):
		if to != "internal/app" && !within(to, "internal/platform") && !within(to, from+"/") {
			return "a main is thin: it uses app, and platform at most"
		}
	case from == "graphiql", from == "docs/events", from == "internal/importtest":
		return "it stands alone"
	default:
		return "the package has no place in the house yet: give it one here and in docs/architecture.md"
	}
	return partOf(from, to)
}

// upward keeps the order of domains.
func upward(from, to string, test bool) string {
	if within(to, "internal/platform") {
		return ""
	}
	if !within(to, "internal/coaching") {
		return "a domain knows no GraphQL, no loaders and no app: they come and go, it stays"
	}
	mine, theirs := domain(from), domain(to)
	if slices.Contains(beside, theirs) {
		return ""
	}
	if slices.Contains(beside, mine) {
		return mine + " serves every domain and knows none"
	}
	if !slices.Contains(order, mine) || !slices.Contains(order, theirs) {
		return "a new domain gets a place in the order of domains first"
	}
	if mine == theirs {
		if from == "internal/coaching/"+mine && !slices.Contains(pure, to) && !test {
			return "a domain does not know what implements its interfaces: app does"
		}
		return ""
	}
	if test && slices.Contains(pure, to) {
		return "" // pure functions make test data for everybody
	}
	if slices.Index(order, mine) > slices.Index(order, theirs) {
		return "domains know each other only downward: " + strings.Join(order, " → ") + "; upward goes through a job, an event or the consumer's interface"
	}
	return partOf(from, to)
}

// partOf refuses the parts of a domain that only app chooses, as an analyser.
func partOf(from, to string) string {
	if within(to, "internal/coaching") && to != "internal/coaching/"+domain(to) && !slices.Contains(pure, to) && !within(from, "internal/app") && !within(from, "tools/bench") && from != "tools/evaluate" && domain(from) != domain(to) {
		return "only internal/app chooses between the implementations of a domain's interface"
	}
	return ""
}

func homeless(from, to string, test bool) string {
	test = test || within(from, "tools/bench")
	if first, _, _ := strings.Cut(to, "/"); !strings.Contains(first, ".") || within(to, "golang.org/x") {
		return "" // the standard library and its outskirts
	}
	for _, h := range homes {
		if within(to, h.sdk) {
			if test || slices.Contains(h.dirs, from) {
				return ""
			}
			return "an SDK stays in its own package (" + h.why + ")"
		}
	}
	return "the module has no home yet: list the packages that may know it"
}

// isAdapter: the packages below a port, but for its conformance suite.
func isAdapter(dir string) bool {
	return within(dir, "internal/platform") && strings.Count(dir, "/") > 2 && !isSuite(dir)
}

func isSuite(dir string) bool {
	return within(dir, "internal/platform") && strings.HasSuffix(dir, path.Base(path.Dir(dir))+"test")
}

// domain is the name of the domain that a package belongs to.
func domain(dir string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(dir, "internal/coaching/"), "/")
	return name
}

func within(dir, parent string) bool {
	return dir == parent || strings.HasPrefix(dir, strings.TrimSuffix(parent, "/")+"/")
}

func TestImports(t *testing.T) {
	t.Parallel()
	root := testkit.RepoRoot(t)
	files := 0
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		if d.IsDir() {
			if name != root && (strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "node_modules" || base == "testdata" || base == "dist") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(base, ".go") {
			return nil
		}
		files++
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		short, _ := filepath.Rel(root, name)
		short = filepath.ToSlash(short)
		from := strings.TrimPrefix(path.Dir(short), ".")
		for _, i := range f.Imports {
			to, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			if why := broken(from, to, strings.HasSuffix(base, "_test.go")); why != "" {
				t.Errorf("%s imports %s, but %s", short, strings.TrimPrefix(to, module+"/"), why)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 100 {
		t.Errorf("only %d files were looked at under %s", files, root)
	}
}

// The rules are tried on imports that must not be, and on their neighbours that may.
func TestRules(t *testing.T) {
	t.Parallel()
	const platform, coaching = "internal/platform/", "internal/coaching/"
	for _, c := range []struct {
		from, to string
		test     bool
		want     string // a part of the reason
	}{
		{platform + "page", coaching + "session", false, "platform knows no coaching"},
		{platform + "page", coaching + "session", true, "platform knows no coaching"},
		{platform + "page", platform + "auth", false, ""},
		{platform + "stream", platform + "stream/postgres", false, "only internal/app knows adapters"},
		{platform + "stream/postgres", platform + "stream", false, ""},
		{platform + "queue/postgres", platform + "stream/postgres", false, "only internal/app knows adapters"},
		{platform + "jobs", platform + "queue/postgres", true, ""},
		{platform + "queue/postgres", platform + "queue/queuetest", true, ""},
		{platform + "queue/postgres", platform + "queue/queuetest", false, "only tests"},
		{"internal/app", platform + "llm/llmtest", false, "only tests"},
		{coaching + "insight/prompted", platform + "llm", false, ""},
		{coaching + "insight/prompted", platform + "llm/openai", false, "only internal/app knows adapters"},
		{coaching + "insight/prompted", "github.com/sashabaranov/go-openai", false, "an SDK stays"},
		{coaching + "session", "graph/model", false, "a domain knows no GraphQL"},
		{coaching + "session", "loaders", false, "a domain knows no GraphQL"},
		{coaching + "session", "internal/app", true, "a domain knows no GraphQL"},
		{coaching + "session", "internal/app/apptest", true, "tested by themselves"},
		{coaching + "session", platform + "queue/postgres", false, "only internal/app knows adapters"},
		{coaching + "session", coaching + "insight", false, "only downward"},
		{coaching + "session", coaching + "transcript", true, "only downward"},
		{coaching + "insight", coaching + "session", false, ""},
		{coaching + "tag", coaching + "client", false, "only downward"},
		{coaching + "goal", coaching + "brief", false, "only downward"},
		{coaching + "org", coaching + "audit", false, ""},
		{coaching + "audit", coaching + "org", false, "knows none"},
		{coaching + "notice", coaching + "audit", false, ""},
		{coaching + "notice", coaching + "session", false, "knows none"},
		{coaching + "weather", coaching + "org", false, "a place in the order"},
		{coaching + "insight", coaching + "insight/rules", false, "what implements its interfaces"},
		{coaching + "insight/rules", coaching + "insight", false, ""},
		{coaching + "transcript", coaching + "transcript/format", false, ""},
		{coaching + "conversation", "os", false, "is pure"},
		{coaching + "conversation", "net/http", false, "is pure"},
		{coaching + "conversation", "os", true, ""},
		{coaching + "transcript/format", "log/slog", false, "is pure"},
		{coaching + "conversation", coaching + "session", false, "is pure"},
		{coaching + "coding", coaching + "conversation", false, ""},
		{coaching + "coding", coaching + "insight", false, "is pure"},
		{coaching + "conversation", coaching + "coding", false, "only downward"},
		{"tools/evaluate", coaching + "insight/rules", false, ""},
		{coaching + "transcript/format", platform + "postgres", false, "is pure"},
		{coaching + "transcript/format", platform + "fault", false, ""},
		{coaching + "session", "github.com/99designs/gqlgen/graphql", false, "an SDK stays"},
		{coaching + "session", "github.com/jackc/pgx/v5/pgxpool", false, ""},
		{coaching + "session", "github.com/jackc/pgx/v5/stdlib", false, "an SDK stays"},
		{"resolvers", "github.com/jackc/pgx/v5", false, "an SDK stays"},
		{"resolvers", "github.com/aws/aws-sdk-go-v2/service/s3", false, "an SDK stays"},
		{"resolvers", "github.com/aws/aws-sdk-go-v2/service/sqs", false, "an SDK stays"},
		{platform + "queue/sqs", "github.com/aws/aws-sdk-go-v2/service/sns", false, "an SDK stays"},
		{coaching + "session", platform + "event", false, ""},
		{coaching + "session", platform + "event/sns", false, "only internal/app knows adapters"},
		{platform + "event/sns", platform + "event/eventtest", false, "only tests"},
		{"resolvers", "github.com/nowhere/sdk", false, "no home"},
		{platform + "id", "github.com/google/go-cmp/cmp", false, "an SDK stays"},
		{platform + "id", "github.com/google/go-cmp/cmp", true, ""},
		{"resolvers", coaching + "insight/rules", false, "only internal/app chooses"},
		{"resolvers", "internal/app", false, "resolvers call services"},
		{"resolvers", "loaders", false, ""},
		{"resolvers", "internal/transport", false, ""},
		{"internal/transport", platform + "auth", false, ""},
		{"internal/transport", "graph", false, "carries any schema"},
		{"loaders", "graph/model", false, "know no GraphQL"},
		{"graph/model", "resolvers", false, "graph binds"},
		{"graph/model", coaching + "client", false, ""},
		{"", coaching + "client", false, "a main is thin"},
		{"cmd/rapport", "internal/app", false, ""},
		{"cmd/rapport", "resolvers", false, "a main is thin"},
		{"tools/configdoc", platform + "postgres/local", false, "only internal/app knows adapters"},
		{"tools/testrun", platform + "postgres/local", false, ""},
		{"internal/app", "internal/testkit", false, "only tests"},
		{"internal/app", "internal/app/apptest", true, ""},
		{"internal/app", platform + "stream/postgres", false, ""},
		{"internal/app/demo", platform + "stream/postgres", false, "only internal/app knows adapters"},
		{"helpers", coaching + "client", false, "no place in the house"},
	} {
		to := c.to
		if dir, _, _ := strings.Cut(to, "/"); !strings.Contains(dir, ".") && dir != "os" && dir != "net" && dir != "log" {
			to = module + "/" + to
		}
		got := broken(c.from, to, c.test)
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s imports %s (in a test: %t): got %q, want %q", c.from, c.to, c.test, got, c.want)
		}
	}
}
