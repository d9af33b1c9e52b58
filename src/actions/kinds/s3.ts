import { Type } from 'typebox'
import { template } from '../action/action-template.ts'
import { closed, roleArnType, textType } from '../action/field-types.ts'
import { actionPlan, serviceAction } from '../action/service-action.ts'
import { matching } from '../action/text-checks.ts'

/** Amazon S3 User Guide, "General purpose bucket naming rules", with names of older buckets. */
const bucketName = matching(
  /^[a-zA-Z0-9][a-zA-Z0-9._-]{1,253}[a-zA-Z0-9]$/,
  'the name of a bucket: 3 to 63 lower-case letters, digits, "." or "-"',
)
/** Amazon S3 User Guide, "Naming Amazon S3 objects". */
const keyBytesMax = 1_024

const cannedAcls = [
  'private',
  'public-read',
  'public-read-write',
  'aws-exec-read',
  'authenticated-read',
  'bucket-owner-read',
  'bucket-owner-full-control',
  'log-delivery-write',
]

/** Writes the output of the rule as one object. Objects with the same key are written in order. */
export const s3Action = serviceAction({
  kind: 's3',
  schema: Type.Object(
    {
      roleArn: roleArnType,
      bucketName: textType,
      key: textType,
      cannedAcl: Type.Optional(Type.Enum(cannedAcls)),
    },
    closed,
  ),
  plan: ({ roleArn, bucketName: bucket, key, cannedAcl }) =>
    actionPlan({
      roleArn,
      templates: { bucketName: template(bucket, bucketName), key: template(key, keyProblem) },
      target: (texts) => texts.bucketName,
      call: (texts) => ({
        operation: 'PutObject',
        parameters: {
          Bucket: texts.bucketName,
          Key: texts.key,
          ...(cannedAcl !== undefined && { ACL: cannedAcl }),
        },
        body: { member: 'Body', as: 'bytes' },
        orderKey: texts.key,
      }),
    }),
})

function keyProblem(key: string): string | undefined {
  if (key === '') return 'the key of the object is empty'
  const bytes = Buffer.byteLength(key)
  return bytes > keyBytesMax ? `the key has ${bytes} bytes; S3 takes ${keyBytesMax}` : undefined
}
