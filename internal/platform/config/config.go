// Package config is every knob of Rapport in one struct: names, defaults, meanings and the rules between them.
//
// docs/configuration.md is generated from it (go run ./tools/configdoc), so the comments here are written for the
// person who runs the program. The environment is read through an injected lookup and nowhere else.
package config

import (
	"log/slog"
	"time"

	"github.com/rapporthq/rapport/internal/platform/secret"
)

// Mode says what the process is for.
type Mode string

// The modes.
const (
	Development Mode = "development" // this machine alone, sign-in without a password, embedded adapters
	Production  Mode = "production"  // a real identity provider, no development sign-in
)

// Role says which part of the product the process is.
type Role string

// The roles.
const (
	All    Role = "all"    // serves and works
	Server Role = "server" // serves; workers do the jobs
	Worker Role = "worker" // does jobs; serves nothing but its health
)

// Serves says whether the process serves the API.
func (r Role) Serves() bool { return r != Worker }

// Works says whether the process does jobs.
func (r Role) Works() bool { return r != Server }

// LogFormat is how log lines are written.
type LogFormat string

// The formats.
const (
	LogText LogFormat = "text"
	LogJSON LogFormat = "json"
)

// Config is the whole configuration. Every variable's name stands in its env tag; nothing else in the program reads the
// environment.
type Config struct {
	// What the process is for. `development` signs in anybody who asks from this machine, and is therefore refused
	// unless RAPPORT_ADDR is a loopback address. `production` needs DATABASE_URL and the RAPPORT_AUTH_ variables.
	Mode Mode `env:"RAPPORT_MODE, default=development"`
	// Which part of the product the process is. `all` serves the API and does the jobs; `server` only serves; `worker` only
	// does jobs, and serves `/healthz` and `/readyz`. Where there are servers there must be workers.
	Role Role `env:"RAPPORT_ROLE, default=all"`
	// The folder for what the process keeps on disk: uploaded files and their signing key; in development also the
	// database and the sign-in's key.
	Home string `env:"RAPPORT_HOME, default=.rapport"`
	// Import the demo organization at start. Refused in production.
	Demo bool `env:"RAPPORT_DEMO" unset:"true in development"`

	HTTP     HTTP
	Database Database
	Auth     Auth
	Jobs     Jobs
	Stream   Stream
	Events   Events
	Mail     Mail
	Files    Files
	Analysis Analysis
	Search   Search
	Meaning  Meaning
	Log      Log
	Metrics  Metrics
}

// HTTP is about the server and its limits.
type HTTP struct {
	// The port on 127.0.0.1 that is listened on, unless RAPPORT_ADDR is set.
	Port uint16 `env:"PORT, default=8080"`
	// The address that is listened on, as host:port. In a container: `0.0.0.0:8080`.
	Addr string `env:"RAPPORT_ADDR" unset:"127.0.0.1:$PORT"`
	// The address by which people reach the server, without a path: `https://api.example.com`. Links to files begin with
	// it. Must be set in production.
	PublicURL string `env:"RAPPORT_PUBLIC_URL" unset:"http://$RAPPORT_ADDR in development"`
	// Origins of pages on other hosts that may call the API, separated by commas: `https://app.example.com`. `*` is
	// refused.
	CORSOrigins []string `env:"RAPPORT_CORS_ORIGINS"`
	// The largest request body, in bytes. A larger one is answered with 413.
	MaxBodyBytes int64 `env:"RAPPORT_MAX_BODY_BYTES, default=1048576"`
	// The largest query, in tokens: names, punctuation, values.
	MaxQueryTokens int `env:"RAPPORT_MAX_QUERY_TOKENS, default=2000"`
	// The most fields that a query may be estimated to answer: each field counts one, times the sizes of the pages it lies
	// in.
	MaxQueryCost int `env:"RAPPORT_MAX_QUERY_COST, default=100000"`
	// The number of subscriptions that one WebSocket may hold open.
	MaxSubscriptionsPerSocket int `env:"RAPPORT_MAX_SUBSCRIPTIONS_PER_SOCKET, default=100"`
	// The most WebSockets and event streams that a person holds open: on all processes together with RAPPORT_REDIS_URL, and otherwise on
	// each. Who asks for more gets a 429, or the code 4429 on a socket that says by connection_init who it is. 0 is no limit, also of the next five.
	MaxStreamsPerUser int `env:"RAPPORT_MAX_STREAMS_PER_USER, default=100"`
	// The same for an organization.
	MaxStreamsPerOrganization int `env:"RAPPORT_MAX_STREAMS_PER_ORGANIZATION, default=10000"`
	// The most subscriptions that a person holds open, over all sockets and streams, counted like these.
	MaxSubscriptionsPerUser int `env:"RAPPORT_MAX_SUBSCRIPTIONS_PER_USER, default=1000"`
	// The same for an organization.
	MaxSubscriptionsPerOrganization int `env:"RAPPORT_MAX_SUBSCRIPTIONS_PER_ORGANIZATION, default=50000"`
	// How many operations a person sends in a minute, over any transport, counted like these: as many at once after a quiet minute. Who sends
	// more gets a 429 with Retry-After, or an error with the code RATE_LIMITED on a socket.
	MaxOperationsPerUser int `env:"RAPPORT_MAX_OPERATIONS_PER_USER, default=1200"`
	// The same for an organization.
	MaxOperationsPerOrganization int `env:"RAPPORT_MAX_OPERATIONS_PER_ORGANIZATION, default=60000"`
	// How long requests are still taken after readiness was turned off, so that a load balancer can notice. Behind one,
	// set it to a little more than the interval of its health check.
	DrainDelay time.Duration `env:"RAPPORT_DRAIN_DELAY, default=0s"`
	// How long requests, sockets and jobs may take to finish when the process is told to stop.
	ShutdownTimeout time.Duration `env:"RAPPORT_SHUTDOWN_TIMEOUT, default=10s"`
}

// Database is about PostgreSQL.
type Database struct {
	// Where PostgreSQL is: `postgres://user:password@host:5432/rapport?sslmode=verify-full`. Without it, in
	// development, a private PostgreSQL is started in RAPPORT_HOME. Of one that is fetched, a change of the user and of the
	// password is followed, and nothing else.
	URL Secret `env:"DATABASE_URL"`
	// The password, if it does not stand in DATABASE_URL: `secretsmanager:rds!db-0a1b#password`. New connections use what it is then.
	Password Secret `env:"DATABASE_PASSWORD"`
	// The most connections that one process opens.
	MaxConns int32 `env:"DATABASE_MAX_CONNS, default=20"`
}

// Auth is about the identity provider. In development it is optional, and tokens of the development sign-in are believed as well.
type Auth struct {
	// The issuer whose tokens are believed: exactly the value of their `iss`.
	Issuer string `env:"RAPPORT_AUTH_ISSUER"`
	// The audience that must be among the tokens' `aud`.
	Audience string `env:"RAPPORT_AUTH_AUDIENCE"`
	// Where the issuer publishes its keys. https, or http on this machine.
	JWKSURL string `env:"RAPPORT_AUTH_JWKS_URL"`
	// The claim that holds the organization a token is for. Without it, people act in their own organization.
	OrganizationClaim string `env:"RAPPORT_AUTH_ORGANIZATION_CLAIM"`
}

// Enabled says that an identity provider is configured.
func (a Auth) Enabled() bool { return a.Issuer != "" }

// Jobs is about work in the background.
type Jobs struct {
	// How many jobs one process runs at the same time.
	Concurrency int `env:"RAPPORT_WORKER_CONCURRENCY, default=4"`
	// How many transcripts get vectors for searching at a time, in all processes together; of those whose words are indexed, of notices and of
	// smaller things to be found it is twice as many. They yield while other jobs wait for a worker: transcripts for at most five minutes, the rest for
	// seconds. With several workers, their number.
	Indexing int `env:"RAPPORT_INDEXING_CONCURRENCY, default=1"`
	// How long a job belongs to a worker that gives no sign of life. Then another worker takes it over.
	Lease time.Duration `env:"RAPPORT_JOB_LEASE, default=1m"`
	// The URL of a standard queue of Amazon SQS that hands out the jobs, with a dead-letter queue. Without it PostgreSQL hands
	// them out. AWS is reached as its SDKs reach it everywhere: `AWS_REGION`, a role or `AWS_PROFILE`, `AWS_ENDPOINT_URL_SQS` for
	// an emulator. All processes that share a database must be given the same.
	SQSQueueURL string `env:"RAPPORT_SQS_QUEUE_URL"`
	// When a message is sent again to SQS because no worker has taken the job. Longer than a job usually waits in line.
	SQSResend time.Duration `env:"RAPPORT_SQS_RESEND, default=5m"`
}

// Uncounted is what happens to what is limited while nobody can count it over all processes.
type Uncounted string

// What can happen.
const (
	CountAlone Uncounted = "alone"
	RefuseAll  Uncounted = "refuse"
)

// KeyStore is what keeps the answers of mutations that are sent with a key.
type KeyStore string

// The stores.
const (
	KeysInPostgres KeyStore = "postgres"
	KeysInRedis    KeyStore = "redis"
)

// Stream is about events on their way to subscribers, and what else processes share through Redis.
type Stream struct {
	// Where Redis is, which carries events from one process to the others, and counts what is limited over all of them:
	// `redis://user:password@host:6379/0`, `rediss://` with TLS. Without it, and while it is away, PostgreSQL carries them. All processes that
	// share a database must be given the same. Of a URL that is fetched, a change of the user and of the password is followed.
	RedisURL Secret `env:"RAPPORT_REDIS_URL"`
	// What holds for the limits of people and organizations while Redis is away: `alone`, each process counts what it sees itself, or
	// `refuse`, sockets and operations are refused as UNAVAILABLE until it is back.
	LimitsWithoutRedis Uncounted `env:"RAPPORT_LIMITS_WITHOUT_REDIS, default=alone"`
	// How long answers are kept that take long to compute, like series of measures: in Redis, or in 32 MiB of each process. They are computed anew
	// when something is written that they rest on, whatever this says. 0 keeps none.
	AnswersKept time.Duration `env:"RAPPORT_ANSWERS_KEPT, default=10m"`
	// What keeps the answers of mutations that are sent with an `Idempotency-Key`, encrypted with what only their client has: `postgres`, or
	// `redis`, the one of RAPPORT_REDIS_URL, which must then write to disk and evict nothing: what it has lost is done again. While it is away
	// such mutations are refused as UNAVAILABLE, and others are not. All processes must be given the same.
	IdempotencyStore KeyStore `env:"RAPPORT_IDEMPOTENCY_STORE, default=postgres"`
	// How long they are kept: within that time a mutation that is sent again is not done again.
	IdempotencyWindow time.Duration `env:"RAPPORT_IDEMPOTENCY_WINDOW, default=24h"`
	// How long events are kept for clients that come back and ask for what they missed.
	Retention time.Duration `env:"RAPPORT_STREAM_RETENTION, default=24h"`
}

// Events is about telling other systems what happens. In development the last events are on the page /dev/events; in production a topic of
// Amazon SNS publishes them.
type Events struct {
	// The ARN of the topic of Amazon SNS that events are published to, standard or FIFO. Without it nothing is published in
	// production, and nothing is written down to be. AWS is reached as its SDKs reach it everywhere: `AWS_REGION`, a role or
	// `AWS_PROFILE`, `AWS_ENDPOINT_URL_SNS` for an emulator. All processes that share a database must be given the same.
	SNSTopicARN string `env:"RAPPORT_SNS_TOPIC_ARN"`
}

// Mail is about the mails that people are told by. In development they go into a folder of RAPPORT_HOME and onto the page
// /dev/mail; in production Amazon SES sends them.
type Mail struct {
	// Who mails come from: `Rapport <coaching@example.com>`. With SES an address that it knows, or of a domain that it knows.
	From string `env:"RAPPORT_MAIL_FROM, default=Rapport <rapport@localhost>"`
	// How many mails one organization sends to one person within 24 hours; 0 is no limit. What is beyond goes into the next digest.
	PersonLimit int `env:"RAPPORT_MAIL_PERSON_LIMIT, default=20"`
	// How many mails one organization sends within an hour; 0 is no limit. What is beyond waits for the next hour. The last tenth is
	// for invitations.
	OrganizationLimit int `env:"RAPPORT_MAIL_ORGANIZATION_LIMIT, default=1000"`
	// The configuration set of Amazon SES that mails are sent with. Without it nothing sends mails in production. AWS is reached
	// as its SDKs reach it everywhere: `AWS_REGION`, a role or `AWS_PROFILE`, `AWS_ENDPOINT_URL_SESV2` for an emulator.
	SESConfigurationSet string `env:"RAPPORT_SES_CONFIGURATION_SET"`
	// Where answers to mails go, if not to RAPPORT_MAIL_FROM: `Harbor Coaching <hello@example.com>`.
	SESReplyTo string `env:"RAPPORT_SES_REPLY_TO"`
	// The URL of a standard queue of Amazon SQS, with a dead-letter queue, into which bounces and complaints come. Without it Rapport
	// goes on mailing addresses at which nothing arrives.
	SESFeedbackQueueURL string `env:"RAPPORT_SES_FEEDBACK_QUEUE_URL"`
	// The topic of Amazon SNS that the configuration set tells of bounces, complaints and rejects, and that the queue is subscribed to.
	// What another has signed is not believed.
	SESFeedbackTopicARN string `env:"RAPPORT_SES_FEEDBACK_TOPIC_ARN"`
}

// Files is about what is kept outside the database: transcripts that were uploaded, and exports.
type Files struct {
	// The bucket of Amazon S3 that files are kept in. Without it they lie in RAPPORT_HOME/files. AWS is reached as its SDKs
	// reach it everywhere: `AWS_REGION`, a role or `AWS_PROFILE`, `AWS_ENDPOINT_URL_S3` for an emulator.
	S3Bucket string `env:"RAPPORT_S3_BUCKET"`
	// The AWS account that must own the bucket, twelve digits: nothing goes to somebody else's bucket of that name.
	S3Owner string `env:"RAPPORT_S3_OWNER"`
	// The URL of a standard queue of Amazon SQS into which the bucket tells of each file that was stored (s3:ObjectCreated:*). Workers
	// read it, and an upload is complete when its file is there, also if its sender never says so. Without it that takes some minutes.
	S3EventsQueueURL string `env:"RAPPORT_S3_EVENTS_QUEUE_URL"`
	// The KMS key that encrypts files, by id or ARN. Without it the bucket's own encryption holds.
	S3KMSKey string `env:"RAPPORT_S3_KMS_KEY"`
}

// Analyser is what looks for insights.
type Analyser string

// The analysers.
const (
	AnalyserRules  Analyser = "rules"
	AnalyserOpenAI Analyser = "openai"
)

// Analysis is about what looks for insights. With `openai` what was said in a conversation is sent to the service, for organizations that
// have analysis enabled and clients who consent to it.
type Analysis struct {
	// What looks for insights: `rules`, built in, or `openai`, a language model.
	Analyser Analyser `env:"RAPPORT_ANALYSER" unset:"openai where RAPPORT_OPENAI_API_KEY is set, else rules"`
	// The key of the account at OpenAI.
	OpenAIKey Secret `env:"RAPPORT_OPENAI_API_KEY"`
	// Where the service is: OpenAI, or what speaks its protocol. https, or http on this machine.
	OpenAIURL string `env:"RAPPORT_OPENAI_BASE_URL, default=https://api.openai.com/v1"`
	// The model that is asked. Only models whose price is known can be.
	OpenAIModel string `env:"RAPPORT_OPENAI_MODEL, default=gpt-4-turbo"`
	// What the model costs, in US dollars for a million tokens read, if not what the price list in the program says: `10`. Both
	// prices, or none.
	OpenAIInputPrice float64 `env:"RAPPORT_OPENAI_INPUT_PRICE"`
	// The same for a million tokens written: `30`.
	OpenAIOutputPrice float64 `env:"RAPPORT_OPENAI_OUTPUT_PRICE"`
	// How long the service may take for the first word of an answer, and be silent within one.
	OpenAITimeout time.Duration `env:"RAPPORT_OPENAI_TIMEOUT, default=1m"`
	// How many requests of one organization may be under way at the same time; 0 is no limit.
	OpenAIConcurrency int `env:"RAPPORT_OPENAI_CONCURRENCY, default=4"`
	// What one organization may spend on models in a calendar month (UTC), in US dollars; 0 is no limit. Then its analyses wait, and its vectors if OpenAI makes them.
	OpenAIMonthlyLimit int64 `env:"RAPPORT_OPENAI_MONTHLY_LIMIT, default=100"`
}

// Search is about finding what was said by its words. PostgreSQL always can; Elasticsearch, where there is one, does it better, and what was
// said is copied there.
type Search struct {
	// The nodes of Elasticsearch (8.11 or later), separated by commas: `https://es1.example.com:9200`. https, or http on this machine.
	// Without it PostgreSQL is searched, as it is while Elasticsearch cannot be reached, and until a worker has filled the index. All
	// processes that share a database must be given the same.
	ElasticsearchURLs []string `env:"RAPPORT_ELASTICSEARCH_URL"`
	// The API key, as Elasticsearch returns it under `encoded`. It needs the privileges `all` for the indexes of RAPPORT_ELASTICSEARCH_PREFIX, and
	// `monitor` for the cluster.
	ElasticsearchAPIKey Secret `env:"RAPPORT_ELASTICSEARCH_API_KEY"`
	// The user, where there is no key.
	ElasticsearchUsername string `env:"RAPPORT_ELASTICSEARCH_USERNAME"`
	// The user's password.
	ElasticsearchPassword Secret `env:"RAPPORT_ELASTICSEARCH_PASSWORD"`
	// A file of certificates (PEM) that those of the nodes are signed by, if not by one that the system knows.
	ElasticsearchCAFile string `env:"RAPPORT_ELASTICSEARCH_CA_FILE"`
	// What the names of its indexes and aliases begin with: lower-case letters, digits, `-` and `_`.
	ElasticsearchPrefix string `env:"RAPPORT_ELASTICSEARCH_PREFIX, default=rapport"`
	// How many shards an index gets that is made: one for each 30 GB that are expected. `rapport reindex` makes one of the new number.
	ElasticsearchShards int `env:"RAPPORT_ELASTICSEARCH_SHARDS, default=1"`
	// How many copies of each shard there are beside it. 0 where there is one node.
	ElasticsearchReplicas int `env:"RAPPORT_ELASTICSEARCH_REPLICAS, default=1"`
	// How long a search may take; then PostgreSQL is searched.
	ElasticsearchTimeout time.Duration `env:"RAPPORT_ELASTICSEARCH_TIMEOUT, default=2s"`
}

// EmbedderKind is what makes vectors of texts.
type EmbedderKind string

// The kinds.
const (
	EmbedderLocal  EmbedderKind = "local"
	EmbedderOpenAI EmbedderKind = "openai"
)

// Meaning is about search by meaning. Vectors are made of what was said in conversations that may be analysed, by a model that is a part of the
// program, or by OpenAI; they are kept in the database, or at Pinecone. With `openai` what was said is sent to the service, but for organizations that
// have analysis disabled or let models see placeholders for names only. Vectors hold no text.
type Meaning struct {
	// What makes vectors: `local`, built in, or `openai`, with the key in RAPPORT_OPENAI_API_KEY. After a change all conversations get new ones
	// beside the old, and are searched with those when they are complete.
	Embedder EmbedderKind `env:"RAPPORT_EMBEDDER, default=local"`
	// The model of OpenAI that makes vectors. Only models whose price is known can.
	OpenAIModel string `env:"RAPPORT_OPENAI_EMBEDDING_MODEL, default=text-embedding-3-small"`
	// How many numbers its vectors have.
	OpenAIDimension int `env:"RAPPORT_OPENAI_EMBEDDING_DIMENSION, default=512"`
	// The key of the project at Pinecone.
	PineconeKey Secret `env:"RAPPORT_PINECONE_API_KEY"`
	// The index that vectors are kept in, with the metric cosine and the dimension of the embedder (384 for `local`); none for the database.
	PineconeIndex string `env:"RAPPORT_PINECONE_INDEX"`
	// Where indexes are described: Pinecone, or what speaks its protocol. https, or http on this machine.
	PineconeURL string `env:"RAPPORT_PINECONE_URL, default=https://api.pinecone.io"`
	// How many MiB of vectors a process keeps in memory, where they are in the database: those of who searched last.
	VectorMemory int64 `env:"RAPPORT_VECTOR_MEMORY_MIB, default=512"`
}

// Log is about the log. Lines go to standard error and hold ids, never content.
type Log struct {
	// The least level that is written: `debug`, `info`, `warn` or `error`.
	Level slog.Level `env:"RAPPORT_LOG_LEVEL, default=info"`
	// How lines are written: `text` for people, `json` for machines.
	Format LogFormat `env:"RAPPORT_LOG_FORMAT, default=text"`
}

// MetricsFormat is how measures are written.
type MetricsFormat string

// The formats.
const (
	MetricsOff MetricsFormat = "off"
	MetricsEMF MetricsFormat = "emf"
)

// Metrics is about measures of the work in the background. They hold counts, times and costs, and no ids.
type Metrics struct {
	// How measures are written: not at all, or as lines of CloudWatch's embedded metric format, on standard output.
	Format MetricsFormat `env:"RAPPORT_METRICS, default=off"`
	// The namespace that CloudWatch keeps them under.
	Namespace string `env:"RAPPORT_METRICS_NAMESPACE, default=Rapport"`
}

// DevLogin says whether the development issuer may exist.
func (c Config) DevLogin() bool { return c.Mode == Development }

// Secret is a value that must not be seen, or says where one is kept (secret.ParseRef). Whatever prints it prints that it is set, or
// where it is kept.
type Secret string

// Reveal returns the text, for the one place that needs it.
func (s Secret) Reveal() string { return string(s) }

// Refers says that the value is kept elsewhere.
func (s Secret) Refers() bool {
	_, refers, _ := secret.ParseRef(string(s))
	return refers
}

func (s Secret) String() string {
	if ref, refers, err := secret.ParseRef(string(s)); refers && err == nil {
		return ref.String()
	}
	if s == "" {
		return ""
	}
	return "[redacted]"
}

// GoString covers %#v.
func (s Secret) GoString() string { return `"` + s.String() + `"` }

// MarshalText covers JSON.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
