package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	feedbackQueue = "https://sqs.eu-west-1.amazonaws.com/123456789012/mail"
	feedbackTopic = "arn:aws:sns:eu-west-1:123456789012:mail"
)

func from(env map[string]string) Lookup {
	return func(name string) (string, bool) { v, ok := env[name]; return v, ok }
}

// production is the least that production needs.
func production(with map[string]string) map[string]string {
	env := map[string]string{
		"RAPPORT_MODE": "production", "RAPPORT_ADDR": "0.0.0.0:8080",
		"DATABASE_URL":        "postgres://rapport:hunter2@db.internal:5432/rapport",
		"RAPPORT_PUBLIC_URL":  "https://api.example.com",
		"RAPPORT_AUTH_ISSUER": "https://id.example.com/", "RAPPORT_AUTH_AUDIENCE": "rapport",
		"RAPPORT_AUTH_JWKS_URL": "https://id.example.com/jwks",
	}
	maps.Copy(env, with)
	return env
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	got, err := Load(from(nil))
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Mode: Development, Role: All, Home: ".rapport", Demo: true,
		HTTP: HTTP{Port: 8080, Addr: "127.0.0.1:8080", MaxBodyBytes: 1 << 20, MaxQueryTokens: 2000, MaxQueryCost: 100_000,
			MaxSubscriptionsPerSocket: 100, MaxStreamsPerUser: 100, MaxStreamsPerOrganization: 10_000, MaxSubscriptionsPerUser: 1000,
			MaxSubscriptionsPerOrganization: 50_000, MaxOperationsPerUser: 1200, MaxOperationsPerOrganization: 60_000, ShutdownTimeout: 10 * time.Second},
		Database: Database{MaxConns: 20},
		Jobs:     Jobs{Concurrency: 4, Indexing: 1, Lease: time.Minute, SQSResend: 5 * time.Minute},
		Stream:   Stream{LimitsWithoutRedis: CountAlone, AnswersKept: 10 * time.Minute, IdempotencyStore: KeysInPostgres, IdempotencyWindow: 24 * time.Hour, Retention: 24 * time.Hour},
		Mail:     Mail{From: "Rapport <rapport@localhost>", PersonLimit: 20, OrganizationLimit: 1000},
		Analysis: Analysis{Analyser: AnalyserRules, OpenAIURL: "https://api.openai.com/v1", OpenAIModel: "gpt-4-turbo", OpenAITimeout: time.Minute,
			OpenAIConcurrency: 4, OpenAIMonthlyLimit: 100},
		Search:  Search{ElasticsearchPrefix: "rapport", ElasticsearchShards: 1, ElasticsearchReplicas: 1, ElasticsearchTimeout: 2 * time.Second},
		Meaning: Meaning{Embedder: EmbedderLocal, OpenAIModel: "text-embedding-3-small", OpenAIDimension: 512, PineconeURL: "https://api.pinecone.io", VectorMemory: 512},
		Log:     Log{Level: slog.LevelInfo, Format: LogText},
		Metrics: Metrics{Format: MetricsOff, Namespace: "Rapport"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%v\nwant\n%v", got, want)
	}
	if !got.DevLogin() {
		t.Error("no sign-in for development")
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		env  map[string]string
		look func(Config) any
		want any
	}{
		"port":                     {map[string]string{"PORT": "9000"}, func(c Config) any { return c.HTTP.Addr }, "127.0.0.1:9000"},
		"address beats port":       {map[string]string{"PORT": "9000", "RAPPORT_ADDR": "localhost:7000"}, func(c Config) any { return c.HTTP.Addr }, "localhost:7000"},
		"IPv6 loopback":            {map[string]string{"RAPPORT_ADDR": "[::1]:7000"}, func(c Config) any { return c.HTTP.Addr }, "[::1]:7000"},
		"set to nothing":           {map[string]string{"PORT": "", "RAPPORT_MODE": " "}, func(c Config) any { return c.HTTP.Addr }, "127.0.0.1:8080"},
		"origins":                  {map[string]string{"RAPPORT_CORS_ORIGINS": "https://a.example, http://localhost:3000,"}, func(c Config) any { return fmt.Sprint(c.HTTP.CORSOrigins) }, "[https://a.example http://localhost:3000]"},
		"no demo":                  {map[string]string{"RAPPORT_DEMO": "false"}, func(c Config) any { return c.Demo }, false},
		"level":                    {map[string]string{"RAPPORT_LOG_LEVEL": "debug"}, func(c Config) any { return c.Log.Level }, slog.LevelDebug},
		"production":               {production(nil), func(c Config) any { return [2]bool{c.Demo, c.DevLogin()} }, [2]bool{false, false}},
		"a worker signs nobody in": {map[string]string{"RAPPORT_MODE": "production", "RAPPORT_ROLE": "worker", "DATABASE_URL": "postgres://x/y", "RAPPORT_PUBLIC_URL": "https://api.example.com"}, func(c Config) any { return [2]bool{c.Role.Serves(), c.Role.Works()} }, [2]bool{false, true}},
		"a queue":                  {map[string]string{"RAPPORT_SQS_QUEUE_URL": "http://127.0.0.1:4566/123456789012/jobs"}, func(c Config) any { return c.Jobs.SQSQueueURL }, "http://127.0.0.1:4566/123456789012/jobs"},
		"a topic":                  {map[string]string{"RAPPORT_SNS_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:rapport-events.fifo"}, func(c Config) any { return c.Events.SNSTopicARN }, "arn:aws:sns:us-east-1:123456789012:rapport-events.fifo"},
		"secret":                   {production(nil), func(c Config) any { return c.Database.URL.Reveal() }, "postgres://rapport:hunter2@db.internal:5432/rapport"},
		"provider while here":      {map[string]string{"RAPPORT_AUTH_ISSUER": "x", "RAPPORT_AUTH_AUDIENCE": "y", "RAPPORT_AUTH_JWKS_URL": "http://127.0.0.1:1/jwks"}, func(c Config) any { return c.Auth.Enabled() }, true},
		"kept elsewhere":           {production(map[string]string{"DATABASE_URL": "secretsmanager:db#url"}), func(c Config) any { return c.Database.URL.Refers() }, true},
		"a key is a choice":        {map[string]string{"RAPPORT_OPENAI_API_KEY": "sk-1"}, func(c Config) any { return c.Analysis.Analyser }, AnalyserOpenAI},
		"which can be undone":      {map[string]string{"RAPPORT_OPENAI_API_KEY": "sk-1", "RAPPORT_ANALYSER": "rules"}, func(c Config) any { return c.Analysis.Analyser }, AnalyserRules},
		"a model of one's own":     {map[string]string{"RAPPORT_OPENAI_BASE_URL": "http://localhost:9000/v1"}, func(c Config) any { return c.Analysis.OpenAIURL }, "http://localhost:9000/v1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := Load(from(tc.env))
			if err != nil {
				t.Fatal(err)
			}
			if got := tc.look(c); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	without := func(name string) map[string]string { e := production(nil); delete(e, name); return e }
	for name, tc := range map[string]struct {
		env  map[string]string
		want []string // the variables that the error names, and nothing else
	}{
		"mode":                        {map[string]string{"RAPPORT_MODE": "staging"}, []string{"RAPPORT_MODE"}},
		"development for everybody":   {map[string]string{"RAPPORT_ADDR": "0.0.0.0:8080"}, []string{"RAPPORT_ADDR"}},
		"development, no host":        {map[string]string{"RAPPORT_ADDR": ":8080"}, []string{"RAPPORT_ADDR"}},
		"development, IPv6":           {map[string]string{"RAPPORT_ADDR": "[::]:8080"}, []string{"RAPPORT_ADDR"}},
		"development, a name":         {map[string]string{"RAPPORT_ADDR": "localhost.evil.example:80"}, []string{"RAPPORT_ADDR"}},
		"address without port":        {map[string]string{"RAPPORT_ADDR": "127.0.0.1"}, []string{"RAPPORT_ADDR"}},
		"address with a strange port": {map[string]string{"RAPPORT_ADDR": "127.0.0.1:99999"}, []string{"RAPPORT_ADDR"}},
		"port":                        {map[string]string{"PORT": "seven"}, []string{"PORT"}},
		"port too large":              {map[string]string{"PORT": "70000"}, []string{"PORT"}},
		"several":                     {map[string]string{"PORT": "x", "RAPPORT_JOB_LEASE": "soon", "RAPPORT_LOG_LEVEL": "loud", "RAPPORT_MODE": "x"}, []string{"PORT", "RAPPORT_JOB_LEASE", "RAPPORT_LOG_LEVEL", "RAPPORT_MODE"}},
		"any origin":                  {map[string]string{"RAPPORT_CORS_ORIGINS": "*"}, []string{"RAPPORT_CORS_ORIGINS"}},
		"some origins":                {map[string]string{"RAPPORT_CORS_ORIGINS": "https://*.example.com"}, []string{"RAPPORT_CORS_ORIGINS"}},
		"origin with a path":          {map[string]string{"RAPPORT_CORS_ORIGINS": "https://a.example/"}, []string{"RAPPORT_CORS_ORIGINS"}},
		"body limit":                  {map[string]string{"RAPPORT_MAX_BODY_BYTES": "0"}, []string{"RAPPORT_MAX_BODY_BYTES"}},
		"no workers":                  {map[string]string{"RAPPORT_WORKER_CONCURRENCY": "0"}, []string{"RAPPORT_WORKER_CONCURRENCY"}},
		"SES without a sender":        {map[string]string{"RAPPORT_SES_CONFIGURATION_SET": "rapport"}, []string{"RAPPORT_MAIL_FROM"}},
		"answers without SES":         {map[string]string{"RAPPORT_SES_REPLY_TO": "hello@example.com"}, []string{"RAPPORT_SES_CONFIGURATION_SET"}},
		"answers to nobody":           {map[string]string{"RAPPORT_SES_CONFIGURATION_SET": "rapport", "RAPPORT_MAIL_FROM": "a@example.com", "RAPPORT_SES_REPLY_TO": "hello"}, []string{"RAPPORT_SES_REPLY_TO"}},
		"bounces without SES":         {map[string]string{"RAPPORT_SES_FEEDBACK_QUEUE_URL": feedbackQueue, "RAPPORT_SES_FEEDBACK_TOPIC_ARN": feedbackTopic}, []string{"RAPPORT_SES_CONFIGURATION_SET"}},
		"bounces of no topic":         {map[string]string{"RAPPORT_SES_CONFIGURATION_SET": "rapport", "RAPPORT_MAIL_FROM": "a@example.com", "RAPPORT_SES_FEEDBACK_QUEUE_URL": feedbackQueue}, []string{"RAPPORT_SES_FEEDBACK_TOPIC_ARN"}},
		"bounces in no queue":         {map[string]string{"RAPPORT_SES_CONFIGURATION_SET": "rapport", "RAPPORT_MAIL_FROM": "a@example.com", "RAPPORT_SES_FEEDBACK_TOPIC_ARN": feedbackTopic}, []string{"RAPPORT_SES_FEEDBACK_QUEUE_URL"}},
		"fewer mails than none":       {map[string]string{"RAPPORT_MAIL_PERSON_LIMIT": "-1", "RAPPORT_MAIL_ORGANIZATION_LIMIT": "-1"}, []string{"RAPPORT_MAIL_ORGANIZATION_LIMIT", "RAPPORT_MAIL_PERSON_LIMIT"}},
		"a topic's name":              {map[string]string{"RAPPORT_SES_CONFIGURATION_SET": "rapport", "RAPPORT_MAIL_FROM": "a@example.com", "RAPPORT_SES_FEEDBACK_QUEUE_URL": "mail.fifo", "RAPPORT_SES_FEEDBACK_TOPIC_ARN": "mail"}, []string{"RAPPORT_SES_FEEDBACK_QUEUE_URL", "RAPPORT_SES_FEEDBACK_TOPIC_ARN"}},
		"role":                        {map[string]string{"RAPPORT_ROLE": "lambda"}, []string{"RAPPORT_ROLE"}},
		"a queue's name":              {map[string]string{"RAPPORT_SQS_QUEUE_URL": "rapport-jobs"}, []string{"RAPPORT_SQS_QUEUE_URL"}},
		"a name for a topic":          {map[string]string{"RAPPORT_SNS_TOPIC_ARN": "rapport-events"}, []string{"RAPPORT_SNS_TOPIC_ARN"}},
		"a queue with an order":       {map[string]string{"RAPPORT_SQS_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs.fifo"}, []string{"RAPPORT_SQS_QUEUE_URL"}},
		"a password in an address":    {map[string]string{"RAPPORT_ELASTICSEARCH_URL": "https://elastic:pw@es.example.com"}, []string{"RAPPORT_ELASTICSEARCH_URL"}},
		"an index in the clear":       {map[string]string{"RAPPORT_ELASTICSEARCH_URL": "http://127.0.0.1:9200, http://es.example.com:9200"}, []string{"RAPPORT_ELASTICSEARCH_URL"}},
		"no address of an index":      {map[string]string{"RAPPORT_ELASTICSEARCH_URL": "es.example.com"}, []string{"RAPPORT_ELASTICSEARCH_URL"}},
		"a key to no index":           {map[string]string{"RAPPORT_ELASTICSEARCH_API_KEY": "a2V5"}, []string{"RAPPORT_ELASTICSEARCH_URL"}},
		"two ways to sign in":         {map[string]string{"RAPPORT_ELASTICSEARCH_URL": "https://es", "RAPPORT_ELASTICSEARCH_API_KEY": "a2V5", "RAPPORT_ELASTICSEARCH_USERNAME": "u", "RAPPORT_ELASTICSEARCH_PASSWORD": "p"}, []string{"RAPPORT_ELASTICSEARCH_API_KEY"}},
		"a user without a password":   {map[string]string{"RAPPORT_ELASTICSEARCH_URL": "https://es", "RAPPORT_ELASTICSEARCH_USERNAME": "u"}, []string{"RAPPORT_ELASTICSEARCH_PASSWORD"}},
		"odd indexes": {map[string]string{
			"RAPPORT_ELASTICSEARCH_PREFIX": "Rapport*", "RAPPORT_ELASTICSEARCH_SHARDS": "0", "RAPPORT_ELASTICSEARCH_REPLICAS": "-1", "RAPPORT_ELASTICSEARCH_TIMEOUT": "1ms",
		}, []string{"RAPPORT_ELASTICSEARCH_PREFIX", "RAPPORT_ELASTICSEARCH_SHARDS", "RAPPORT_ELASTICSEARCH_REPLICAS", "RAPPORT_ELASTICSEARCH_TIMEOUT"}},
		"one queue for two things":      {map[string]string{"RAPPORT_S3_BUCKET": "files", "RAPPORT_SQS_QUEUE_URL": feedbackQueue, "RAPPORT_S3_EVENTS_QUEUE_URL": feedbackQueue}, []string{"RAPPORT_S3_EVENTS_QUEUE_URL"}},
		"a bucket's URL":                {map[string]string{"RAPPORT_S3_BUCKET": "https://files.s3.amazonaws.com"}, []string{"RAPPORT_S3_BUCKET"}},
		"a bucket in capitals":          {map[string]string{"RAPPORT_S3_BUCKET": "Files"}, []string{"RAPPORT_S3_BUCKET"}},
		"an address for a bucket":       {map[string]string{"RAPPORT_S3_BUCKET": "10.0.0.1"}, []string{"RAPPORT_S3_BUCKET"}},
		"prices that are none":          {map[string]string{"RAPPORT_OPENAI_INPUT_PRICE": "NaN", "RAPPORT_OPENAI_OUTPUT_PRICE": "Inf"}, []string{"RAPPORT_OPENAI_INPUT_PRICE"}},
		"events of no bucket":           {map[string]string{"RAPPORT_S3_EVENTS_QUEUE_URL": feedbackQueue}, []string{"RAPPORT_S3_BUCKET"}},
		"metrics":                       {map[string]string{"RAPPORT_METRICS": "statsd", "RAPPORT_METRICS_NAMESPACE": "AWS/Rapport"}, []string{"RAPPORT_METRICS", "RAPPORT_METRICS_NAMESPACE"}},
		"sending all the time":          {map[string]string{"RAPPORT_SQS_RESEND": "0s"}, []string{"RAPPORT_SQS_RESEND"}},
		"log format":                    {map[string]string{"RAPPORT_LOG_FORMAT": "xml"}, []string{"RAPPORT_LOG_FORMAT"}},
		"a password without a database": {map[string]string{"DATABASE_PASSWORD": "hunter2"}, []string{"DATABASE_URL"}},
		"another protocol":              {map[string]string{"RAPPORT_REDIS_URL": "http://:hunter2@localhost:6379"}, []string{"RAPPORT_REDIS_URL"}},
		"half a reference":              {production(map[string]string{"DATABASE_URL": "secretsmanager:rapport/db#"}), []string{"DATABASE_URL"}},
		"a reference where none can be": {map[string]string{"RAPPORT_OPENAI_MODEL": "secretsmanager:model"}, []string{"RAPPORT_OPENAI_MODEL"}},
		"database":                      {map[string]string{"DATABASE_URL": "hunter2"}, []string{"DATABASE_URL"}},
		"half a provider":               {map[string]string{"RAPPORT_AUTH_ISSUER": "https://id.example.com/"}, []string{"RAPPORT_AUTH_AUDIENCE", "RAPPORT_AUTH_JWKS_URL"}},
		"production without a database": {without("DATABASE_URL"), []string{"DATABASE_URL"}},
		"production without a provider": {map[string]string{"RAPPORT_MODE": "production", "DATABASE_URL": "postgres://x/y"}, []string{"RAPPORT_PUBLIC_URL", "RAPPORT_AUTH_ISSUER", "RAPPORT_AUTH_AUDIENCE", "RAPPORT_AUTH_JWKS_URL"}},
		"production, keys over http":    {production(map[string]string{"RAPPORT_AUTH_JWKS_URL": "http://id.example.com/jwks"}), []string{"RAPPORT_AUTH_JWKS_URL"}},
		"analyser":                      {map[string]string{"RAPPORT_ANALYSER": "guess"}, []string{"RAPPORT_ANALYSER"}},
		"a model without a key":         {map[string]string{"RAPPORT_ANALYSER": "openai"}, []string{"RAPPORT_OPENAI_API_KEY"}},
		"an embedder without a key":     {map[string]string{"RAPPORT_EMBEDDER": "openai"}, []string{"RAPPORT_OPENAI_API_KEY"}},
		"an embedder of others":         {map[string]string{"RAPPORT_EMBEDDER": "theirs", "RAPPORT_OPENAI_EMBEDDING_DIMENSION": "1"}, []string{"RAPPORT_EMBEDDER", "RAPPORT_OPENAI_EMBEDDING_DIMENSION"}},
		"an index without a key":        {map[string]string{"RAPPORT_PINECONE_INDEX": "i", "RAPPORT_PINECONE_URL": "http://pinecone.example.com", "RAPPORT_VECTOR_MEMORY_MIB": "0"}, []string{"RAPPORT_PINECONE_INDEX", "RAPPORT_PINECONE_URL", "RAPPORT_VECTOR_MEMORY_MIB"}},
		"a model over http":             {map[string]string{"RAPPORT_OPENAI_BASE_URL": "http://models.example.com/v1"}, []string{"RAPPORT_OPENAI_BASE_URL"}},
		"a model nowhere":               {map[string]string{"RAPPORT_OPENAI_BASE_URL": "/v1"}, []string{"RAPPORT_OPENAI_BASE_URL"}},
		"one price":                     {map[string]string{"RAPPORT_OPENAI_INPUT_PRICE": "10"}, []string{"RAPPORT_OPENAI_INPUT_PRICE"}},
		"less than nothing": {map[string]string{"RAPPORT_OPENAI_CONCURRENCY": "-1", "RAPPORT_OPENAI_MONTHLY_LIMIT": "-1", "RAPPORT_OPENAI_TIMEOUT": "1ms"},
			[]string{"RAPPORT_OPENAI_CONCURRENCY", "RAPPORT_OPENAI_MONTHLY_LIMIT", "RAPPORT_OPENAI_TIMEOUT"}},
		"production with the demo": {production(map[string]string{"RAPPORT_DEMO": "true"}), []string{"RAPPORT_DEMO"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Load(from(tc.env))
			if err == nil {
				t.Fatal("accepted")
			}
			var named []string
			for line := range strings.SplitSeq(err.Error(), "\n") {
				variable, _, _ := strings.Cut(line, ":")
				named = append(named, variable)
			}
			slices.Sort(named)
			slices.Sort(tc.want)
			if !slices.Equal(named, tc.want) {
				t.Errorf("names %v, want %v: %v", named, tc.want, err)
			}
			for _, value := range []string{"hunter2", "staging", "seven"} {
				if strings.Contains(err.Error(), value) {
					t.Errorf("the error repeats a value: %v", err)
				}
			}
		})
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	t.Parallel()
	c, err := Load(from(production(nil)))
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("start", "config", c, "url", c.Database.URL, "database", c.Database)
	raw, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for name, shown := range map[string]string{
		"String": c.String(), "%v": fmt.Sprintf("%v", c), "%+v": fmt.Sprintf("%+v", c), "%#v": fmt.Sprintf("%#v", c),
		"%+v of a part": fmt.Sprintf("%+v", c.Database), "%#v of a part": fmt.Sprintf("%#v", c.Database),
		"%q": fmt.Sprintf("%q", c.Database.URL), "a pointer": fmt.Sprint(&c), "slog": log.String(), "JSON": string(raw),
	} {
		if strings.Contains(shown, "hunter2") {
			t.Errorf("%s shows the password: %s", name, shown)
		}
	}
	c.Analysis.OpenAIKey = "secretsmanager:rapport/openai#key"
	if s := c.String(); !strings.Contains(s, "DATABASE_URL=[redacted]") || !strings.Contains(s, "RAPPORT_OPENAI_API_KEY=secretsmanager:rapport/openai#key\n") || !strings.Contains(s, "RAPPORT_MODE=production\n") {
		t.Errorf("String: %s", s)
	}
}

func TestUnknown(t *testing.T) {
	t.Parallel()
	got := Unknown([]string{"PATH=/bin", "RAPPORT_MODE=production", "RAPPORT_JOB_LEASES=1m", "RAPPORT_X=secret"})
	if len(got) != 2 || !strings.HasPrefix(got[0], "RAPPORT_JOB_LEASES ") || !strings.HasPrefix(got[1], "RAPPORT_X ") || strings.Contains(got[1], "secret") {
		t.Errorf("got %q", got)
	}
}

// Two fields that read one variable, or a name outside the two families, would be a trap.
func TestNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for v := range variables(reflect.TypeFor[Config]()) {
		if seen[v.name] || !(strings.HasPrefix(v.name, "RAPPORT_") || strings.HasPrefix(v.name, "DATABASE_") || v.name == "PORT") {
			t.Errorf("name %s", v.name)
		}
		seen[v.name] = true
	}
	if len(seen) < 20 {
		t.Errorf("only %d variables found", len(seen))
	}
}

func TestLoadReadsOnlyTheLookup(t *testing.T) {
	t.Setenv("PORT", "9999")
	c, err := Load(from(nil))
	if err != nil || c.HTTP.Port != 8080 {
		t.Errorf("port %d, %v", c.HTTP.Port, err)
	}
}

// Who signs in at an address stays out of what is shown.
func TestShowHidesLogins(t *testing.T) {
	t.Parallel()
	c := Config{}
	c.Analysis.OpenAIURL = "https://user:SeKret@models.example/v1"
	if shown := c.String(); strings.Contains(shown, "SeKret") || !strings.Contains(shown, "models.example/v1") {
		t.Errorf("%s", shown)
	}
}
