import { describe, expect, test } from 'vitest'
import { accountId, rawCall, region, startLab } from '../lab-fixtures.ts'

const StreamName = 's'
const ResourceARN = `arn:aws:kinesis:${region}:${accountId}:stream/s`

const changes = (text: string): [string, object][] => [
  ['AddTagsToStream', { StreamName, Tags: { [text]: '' } }],
  ['AddTagsToStream', { StreamName, Tags: { a: text } }],
  ['RemoveTagsFromStream', { StreamName, TagKeys: [text] }],
  ['TagResource', { ResourceARN, Tags: { [text]: text } }],
  ['UntagResource', { ResourceARN, TagKeys: [text] }],
  ['CreateStream', { StreamName: 'new', Tags: { [text]: '' } }],
  ['RegisterStreamConsumer', { StreamARN: ResourceARN, ConsumerName: 'c', Tags: { a: text } }],
]

describe('characters of tags', () => {
  test.each(['a%b', 'a;b', 'a,b', 'a\u0000b', '\u{1F642}'])('%j is refused', async (text) => {
    const lab = await startLab()
    lab.ensureStream('s', 1)
    for (const [operation, input] of changes(text)) {
      expect(await rawCall(lab, operation, input)).toMatchObject({
        type: 'InvalidArgumentException',
        message: expect.stringContaining('invalid characters') as string,
      })
    }
    const { output } = await rawCall(lab, 'ListTagsForResource', { ResourceARN })
    expect(output).toEqual({ Tags: [] })
  })

  test.each(['cost-center', 'a b', 'a_b.c:d/e=f+g@h', '\u00fcnic\u00f6d\u00e9 \u7edf', '7'])(
    '%j is taken',
    async (text) => {
      const lab = await startLab()
      lab.ensureStream('s', 1)
      for (const [operation, input] of changes(text)) {
        expect(await rawCall(lab, operation, input)).toMatchObject({ status: 200 })
      }
    },
  )
})
