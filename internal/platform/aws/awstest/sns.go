// Package awstest does what the emulator of AWS does not: it signs notifications as Amazon SNS does, with a key of the test's own; and bears with what it does.
package awstest

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" // the first version of signatures
	_ "crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/platform/id"
)

// Topic is an SNS that signs for one topic.
type Topic struct {
	ARN         string
	Certificate string // where its certificate lies
	PEM         []byte // the certificate

	key *rsa.PrivateKey
}

// NewTopic returns a topic whose certificate is for a host. change, if not nil, changes the certificate before it is made.
func NewTopic(t testing.TB, arn, host string, change func(*x509.Certificate)) *Topic {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host}, KeyUsage: x509.KeyUsageDigitalSignature,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	if change != nil {
		change(c)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	region := strings.Split(arn, ":")[3]
	return &Topic{
		ARN: arn, key: key, PEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Certificate: "https://sns." + region + ".amazonaws.com/SimpleNotificationService-0123456789abcdef.pem",
	}
}

// Answer is what SNS answers to a request for the certificate.
func (s *Topic) Answer() *http.Response {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(s.PEM))}
}

// Envelope returns a notification as it comes into a queue. change, if not nil, changes its parts before they are signed.
func (s *Topic) Envelope(t testing.TB, version, message string, change func(parts map[string]string)) string {
	t.Helper()
	parts := map[string]string{
		"Type": "Notification", "MessageId": id.New().String(), "TopicArn": s.ARN, "Subject": "Amazon SES Email Event Notification", "Message": message,
		"Timestamp": time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), "SignatureVersion": version, "SigningCertURL": s.Certificate,
		"UnsubscribeURL": "https://sns.amazonaws.com/?Action=Unsubscribe",
	}
	if change != nil {
		change(parts)
	}
	hash := crypto.SHA1
	if parts["SignatureVersion"] == "2" {
		hash = crypto.SHA256
	}
	sum := hash.New()
	for _, name := range []string{"Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"} {
		if value, ok := parts[name]; ok {
			sum.Write([]byte(name + "\n" + value + "\n"))
		}
	}
	signature, err := rsa.SignPKCS1v15(rand.Reader, s.key, hash, sum.Sum(nil))
	if err != nil {
		t.Fatal(err)
	}
	parts["Signature"] = base64.StdEncoding.EncodeToString(signature)
	return marshal(t, parts)
}

// Forged is an envelope of which something was changed after it was signed.
func (s *Topic) Forged(t testing.TB, message string, change func(parts map[string]string)) string {
	t.Helper()
	parts := map[string]string{}
	if err := json.Unmarshal([]byte(s.Envelope(t, "2", message, nil)), &parts); err != nil {
		t.Fatal(err)
	}
	change(parts)
	return marshal(t, parts)
}

func marshal(t testing.TB, parts map[string]string) string {
	t.Helper()
	text, err := json.Marshal(parts)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
