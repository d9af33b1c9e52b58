import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { clientOptions } from '../aws/role-calls.ts'
import type { AwsAccess } from '../aws/role-calls.ts'
import { descriptorBytesMax } from './protobuf-decoder.ts'
import type { ReadDescriptor } from './protobuf-decoder.ts'

/**
 * Descriptors in S3. AWS IoT reads them with its own identity, which the bucket's policy admits.
 * Sluice reads them with the process's own credentials, which need `s3:GetObject`.
 */
export function createDescriptorObjects(access: AwsAccess): ReadDescriptor {
  const client = new S3Client({
    ...clientOptions(access),
    followRegionRedirects: true,
    // A custom endpoint does not resolve host names made of bucket names.
    forcePathStyle: access.endpoint !== undefined,
  })

  return async (bucketName, objectKey) => {
    // Reading one byte beyond the limit is enough to recognize an object that is too large.
    const answer = await client.send(
      new GetObjectCommand({
        Bucket: bucketName,
        Key: objectKey,
        Range: `bytes=0-${descriptorBytesMax}`,
      }),
    )
    return Buffer.from((await answer.Body?.transformToByteArray()) ?? [])
  }
}
