/**
 * What other programs import from `sluice-iot`: records read back from a Kinesis stream.
 *
 * @example
 *   import { consume, openLmdbCheckpoints } from 'sluice-iot'
 */
export { consume } from './consumers/consume.ts'
export type { ConsumeOptions, Consumer } from './consumers/consume.ts'
export type { ConsumedBatch, ConsumedRecord, RecordsHandler } from './consumers/consumed-batch.ts'
export type { KinesisAccess, KinesisCredentials } from './consumers/kinesis-access.ts'
export { createMemoryCheckpoints } from './consumers/checkpoints.ts'
export type {
  Checkpoint,
  CheckpointScope,
  CheckpointStore,
  CheckpointsByShard,
} from './consumers/checkpoints.ts'
export { openLmdbCheckpoints } from './consumers/lmdb-checkpoints.ts'
export type { LmdbCheckpoints } from './consumers/lmdb-checkpoints.ts'
export { openDynamoDbLeases } from './consumers/leases/dynamodb-leases.ts'
export type { DynamoDbLeasesOptions } from './consumers/leases/dynamodb-leases.ts'
export { openNatsLeases } from './consumers/leases/nats-leases.ts'
export type { NatsLeasesOptions } from './consumers/leases/nats-leases.ts'
export type { LeaseSettings } from './consumers/leases/lease-settings.ts'
export type { SharedCheckpoints } from './consumers/following.ts'
export { openAggregate } from './consumers/aggregate.ts'
export type { UserRecord } from './consumers/aggregate.ts'
export type { KinesisRecord, ShardDescription } from './consumers/shard-reader.ts'
export { SluiceError } from './base/errors.ts'
export type { ErrorCode } from './base/errors.ts'
