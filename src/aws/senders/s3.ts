import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import type { PutObjectCommandInput } from '@aws-sdk/client-s3'
import { clientOptionsOf, createSend, eachAlone } from './sender.ts'
import type { SenderOptions } from './sender.ts'

/** Writes objects into one bucket. */
export function createS3Send(options: SenderOptions) {
  // An endpoint of the operator's own seldom has a host for each bucket.
  const forcePathStyle = options.endpoint !== undefined
  const client = new S3Client({ ...clientOptionsOf(options), forcePathStyle })
  return createSend('S3', client, options, (requests, abortSignal) =>
    eachAlone('S3', requests, ({ parameters }) => {
      const command = new PutObjectCommand(parameters as unknown as PutObjectCommandInput)
      return client.send(command, { abortSignal })
    }),
  )
}
