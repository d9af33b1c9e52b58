import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { clientOptions } from './aws-access.ts'
import type { AwsAccess } from './aws-access.ts'
import { descriptorBytesMax } from './protobuf-decoder.ts'
import type { ReadDescriptor } from './protobuf-decoder.ts'

/**
 * Descriptors in S3. AWS IoT reads them as itself, by the policy of the bucket; here it is the
 * process's own credentials that need `s3:GetObject`.
 */
export function createDescriptorObjects(access: AwsAccess): ReadDescriptor {
  const client = new S3Client({
    ...clientOptions(access),
    followRegionRedirects: true,
    // Names of buckets are not host names where an endpoint stands in for S3.
    forcePathStyle: access.endpoint !== undefined,
  })

  return async (bucketName, objectKey) => {
    // One byte more than is taken says that there is more, whatever the size of the object.
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
