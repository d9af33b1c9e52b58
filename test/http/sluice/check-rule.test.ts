import { expect, test } from 'vitest'
import { roleArn } from '../../rules/rule-fixtures.ts'
import { startServer } from '../http-fixtures.ts'

const version = { awsIotSqlVersion: '2016-03-23' }
const sqs = { roleArn, queueUrl: 'https://sqs.us-east-1.amazonaws.com/000000000000/q' }

test.each([
  ['nothing', { sql: "SELECT * FROM 'a'", actions: [{ sqs }], ...version }, { faults: [] }],
  [
    'a misspelt function, at its place and with the name that was meant',
    { sql: "SELECT *\nFROM 'a' WHERE topc(2) = 'x'", actions: [], ...version },
    {
      faults: [
        {
          code: 'SqlParseException',
          field: 'sql',
          line: 2,
          column: 16,
          message: expect.stringMatching(/^unknown function topc\(\): did you mean topic\(\)\?/),
        },
      ],
    },
  ],
  [
    'every field that is wrong, and a template at the place within its field',
    {
      sql: 'SELECT FROM',
      actions: [
        { sqs: { ...sqs, queueURL: 1 } },
        { kinesis: { roleArn, streamName: 'x${topc()}' } },
      ],
      ...version,
    },
    {
      faults: [
        { field: 'sql', line: 1 },
        { field: 'actions[0].sqs.queueURL', code: 'InvalidRequestException' },
        { field: 'actions[1].kinesis.streamName', line: 1, column: 4 },
      ],
    },
  ],
  [
    'what AWS accepts but its writer may not mean',
    { sql: "SELECT substring('a') AS b FROM 'a'", actions: [], ...version },
    { faults: [], warnings: [expect.stringMatching(/^substring\(\) takes 2 to 3 arguments/)] },
  ],
])('POST /v1/check says %s', async (_what, payload, expected) => {
  const { url } = await startServer()
  const body = JSON.stringify(payload)
  const answer = await fetch(`${url}/v1/check`, { method: 'POST', body })
  expect(answer.status).toBe(200)
  expect(await answer.json()).toMatchObject(expected)
})
