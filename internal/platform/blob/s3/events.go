package s3blob

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
)

// notification is what a bucket tells, as far as it is of use.
type notification struct {
	Event   string // of the test by which S3 tries a queue
	Records []struct {
		EventSource string `json:"eventSource"`
		EventName   string `json:"eventName"`
		S3          struct {
			Bucket struct{ Name string }
			Object struct{ Key string }
		} `json:"s3"`
	}
}

// ErrNoNotification says that something is no notification of a bucket. It quotes nothing of it.
var ErrNoNotification = errors.New("s3: it is no notification of a bucket")

// Created reads a notification of a bucket, as S3 puts it into a queue or hands it to a function, and returns the keys that were stored
// in this one. Other buckets' keys and other events are left out: whoever may write to a queue may write anything, so what comes of it
// is a reason to look, and no more.
func (s *Store) Created(message []byte) (keys []string, err error) {
	var n notification
	if err := json.Unmarshal(message, &n); err != nil || n.Records == nil && n.Event != "s3:TestEvent" {
		return nil, ErrNoNotification
	}
	for _, r := range n.Records {
		if r.EventSource != "aws:s3" {
			return nil, ErrNoNotification
		}
		if !strings.HasPrefix(strings.TrimPrefix(r.EventName, "s3:"), "ObjectCreated:") || r.S3.Bucket.Name != s.options.Bucket {
			continue
		}
		if key, err := url.QueryUnescape(r.S3.Object.Key); err == nil {
			keys = append(keys, key)
		}
	}
	return keys, nil
}
