package s3blob

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/rapporthq/rapport/internal/platform/blob"
)

// Announce has the bucket tell a queue, by its ARN, of each file that is stored in it. The queue must let it.
func Announce(ctx context.Context, cfg aws.Config, bucket, queueARN string) error {
	_, err := New(cfg, Options{Bucket: bucket}).client.PutBucketNotificationConfiguration(ctx, &s3.PutBucketNotificationConfigurationInput{
		Bucket: &bucket, NotificationConfiguration: &types.NotificationConfiguration{QueueConfigurations: []types.QueueConfiguration{
			{QueueArn: &queueARN, Events: []types.Event{"s3:ObjectCreated:*"}},
		}},
	})
	return wrap(err)
}

// Create makes a bucket and configures it for any page, for development: production has its bucket made by whoever looks after its
// account. It may be called again for the same name.
func Create(ctx context.Context, cfg aws.Config, bucket string) error {
	s := New(cfg, Options{Bucket: bucket})
	if _, err := s.client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &bucket}); err != nil && code(err) != "BucketAlreadyOwnedByYou" {
		return wrap(err)
	}
	return s.Configure(ctx, []string{"*"})
}

// Configure has the bucket do what the store relies on: no version is lost by a mistake, what is temporary or left over goes by itself, what
// has not been read for months costs less, pages of the given origins may follow links, and nothing is public. It may be called
// again, and takes the place of rules that are there; who calls it must be allowed to.
func (s *Store) Configure(ctx context.Context, origins []string) error {
	b, owner := &s.options.Bucket, s.owner()
	yes := aws.Bool(true)
	if _, err := s.client.PutPublicAccessBlock(ctx, &s3.PutPublicAccessBlockInput{Bucket: b, ExpectedBucketOwner: owner,
		PublicAccessBlockConfiguration: &types.PublicAccessBlockConfiguration{BlockPublicAcls: yes, IgnorePublicAcls: yes, BlockPublicPolicy: yes, RestrictPublicBuckets: yes},
	}); err != nil {
		return wrap(err)
	}
	if _, err := s.client.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{Bucket: b, ExpectedBucketOwner: owner,
		VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	}); err != nil {
		return wrap(err)
	}
	if _, err := s.client.PutBucketLifecycleConfiguration(ctx, &s3.PutBucketLifecycleConfigurationInput{Bucket: b, ExpectedBucketOwner: owner, LifecycleConfiguration: Lifecycle()}); err != nil {
		return wrap(err)
	}
	_, err := s.client.PutBucketCors(ctx, &s3.PutBucketCorsInput{Bucket: b, ExpectedBucketOwner: owner, CORSConfiguration: CORS(origins)})
	return wrap(err)
}

// Lifecycle is what becomes of files by themselves.
func Lifecycle() *types.BucketLifecycleConfiguration {
	days := func(n int32) *int32 { return &n }
	return &types.BucketLifecycleConfiguration{Rules: []types.LifecycleRule{
		{ID: aws.String("temporary"), Status: types.ExpirationStatusEnabled, Filter: &types.LifecycleRuleFilter{Prefix: aws.String(blob.Temporary)},
			Expiration: &types.LifecycleExpiration{Days: days(1)}, NoncurrentVersionExpiration: &types.NoncurrentVersionExpiration{NoncurrentDays: days(1)}},
		{ID: aws.String("leftovers"), Status: types.ExpirationStatusEnabled, Filter: &types.LifecycleRuleFilter{Prefix: aws.String("")},
			AbortIncompleteMultipartUpload: &types.AbortIncompleteMultipartUpload{DaysAfterInitiation: days(1)},
			NoncurrentVersionExpiration:    &types.NoncurrentVersionExpiration{NoncurrentDays: days(30)}},
		{ID: aws.String("originals"), Status: types.ExpirationStatusEnabled, Filter: &types.LifecycleRuleFilter{Prefix: aws.String("")},
			Transitions: []types.Transition{{Days: days(90), StorageClass: types.TransitionStorageClassStandardIa}}},
	}}
}

// CORS is what pages of the given origins may do: follow links, with the headers that are part of what is signed.
func CORS(origins []string) *types.CORSConfiguration {
	return &types.CORSConfiguration{CORSRules: []types.CORSRule{{
		AllowedOrigins: origins, AllowedMethods: []string{"PUT", "GET"}, MaxAgeSeconds: aws.Int32(600),
		AllowedHeaders: []string{"Content-Type", "If-None-Match", "x-amz-checksum-sha256", "x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id"},
	}}}
}
