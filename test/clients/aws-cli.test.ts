import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { startMappings, streamArn } from '../event-source/mapping-parts.ts'
import { startServer } from '../http/http-fixtures.ts'
import { startLab } from '../lab/lab-fixtures.ts'
import { awsCliEnvironment, findAwsCli } from './aws-cli-program.ts'

const run = promisify(execFile)
const cli = await findAwsCli()
const why = cli.isThere ? '' : ` (there is no AWS CLI: ${cli.reason})`
const environment = awsCliEnvironment(cli)
/** Each call of the CLI starts Python, which takes seconds on a busy machine. */
const callsMsMax = 600_000

test.skipIf(!cli.isThere)(
  `the AWS CLI makes and tags a mapping, and looks up and invokes functions${why}`,
  async () => {
    const lab = await startLab()
    lab.ensureStream('s', 1)
    const started = await startMappings(lab, {
      'f.mjs': `export const handler = (event) => {
        console.log('called')
        if (event.fail) throw new TypeError('asked to fail')
        return { count: event.Records.length }
      }`,
    })
    const { functions } = started.mappings
    const { url } = await startServer({
      dependencies: { eventSourceMappings: started.mappings, lambdaFunctions: functions },
    })
    const aws = async (operation: string, ...words: string[]) => {
      const all = ['lambda', operation, ...words, '--endpoint-url', url, '--output', 'json']
      const { stdout } = await run('aws', all, { env: environment })
      return (stdout === '' ? {} : JSON.parse(stdout)) as Record<string, unknown>
    }
    const file = path.join(started.dataDir, 'answer.json')
    const invoke = async (event: object, ...words: string[]): Promise<Record<string, unknown>> => {
      // Both versions of the CLI read a blob from a file as it is.
      const payload = path.join(started.dataDir, 'event.json')
      await run('sh', ['-c', 'printf %s "$1" > "$2"', 'sh', JSON.stringify(event), payload])
      const name = ['--function-name', 'f', '--payload', `fileb://${payload}`]
      const answer = await aws('invoke', ...name, ...words, file)
      return { ...answer, text: readFileSync(file, 'utf8') }
    }

    const mapped = ['--function-name', 'f', '--event-source-arn', streamArn('s')]
    const more = ['--starting-position', 'TRIM_HORIZON', '--tags', 'team=plant']
    const created = await aws('create-event-source-mapping', ...mapped, ...more)
    expect(created).toMatchObject({ State: 'Creating', FunctionArn: expect.stringMatching(/:f$/) })
    const resource = ['--resource', String(created['EventSourceMappingArn'])]
    await aws('tag-resource', ...resource, '--tags', 'site=north')
    await aws('untag-resource', ...resource, '--tag-keys', 'team')
    expect(await aws('list-tags', ...resource)).toEqual({ Tags: { site: 'north' } })
    expect(await aws('get-function', '--function-name', 'f')).toMatchObject({
      Configuration: { FunctionName: 'f', State: 'Active' },
    })
    expect(await aws('list-functions')).toMatchObject({ Functions: [{ FunctionName: 'f' }] })

    const { LogResult, ...answered } = await invoke({ Records: [1, 2] }, '--log-type', 'Tail')
    expect(answered).toEqual({ StatusCode: 200, ExecutedVersion: '$LATEST', text: '{"count":2}' })
    expect(Buffer.from(String(LogResult), 'base64').toString()).toContain('\ncalled\n')
    expect(await invoke({ fail: true })).toMatchObject({
      StatusCode: 200,
      FunctionError: 'Unhandled',
      text: expect.stringMatching(/"errorMessage":"asked to fail"/),
    })
    expect(await invoke({}, '--invocation-type', 'Event')).toMatchObject({ StatusCode: 202 })
    expect(await invoke({}, '--invocation-type', 'DryRun')).toMatchObject({ StatusCode: 204 })
  },
  callsMsMax,
)

describe.skipIf(!cli.isThere)(`the AWS CLI${why}`, () => {
  test.each([
    [['iot', 'list-jobs'], 'ListJobs'],
    [['iot', 'create-billing-group', '--billing-group-name', 'g'], 'CreateBillingGroup'],
    [['lambda', 'list-layers'], 'ListLayers'],
  ] as const)(
    '%j is told that there is no such operation',
    async (words, operation) => {
      const { url } = await startServer()
      const answered = run('aws', [...words, '--endpoint-url', url], { env: environment })
      await expect(answered).rejects.toMatchObject({
        stderr: expect.stringMatching(
          new RegExp(`\\(InvalidRequestException\\).*: Sluice does not have ${operation}`),
        ),
      })
    },
    60_000,
  )
})
