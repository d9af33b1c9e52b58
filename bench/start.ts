import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { cpuMicroseconds, microsecondsPerTick } from './processes.ts'

/**
 * `npm run bench:start`: the CPU time of the commands that people wait for, of all threads, as the
 * mean of some runs. The exit code is 1 when one takes more than its limit. `--bin` measures
 * another installation: node_modules/.bin/sluice of a project.
 */
const { values: options } = parseArgs({
  options: {
    bin: { type: 'string', default: path.resolve('bin/sluice.js') },
    runs: { type: 'string', default: '10' },
  },
})
const runs = Number(options.runs)
const statement = "SELECT temp FROM 'dt/+/x' WHERE temp > 50"

interface Row {
  readonly name: string
  readonly secondsMax: number
  /** @returns CPU time of one run, in microseconds */
  readonly measure: () => Promise<number>
}

const rows: readonly Row[] = [
  { name: 'sluice --version', secondsMax: 0.15, measure: () => runToEnd(['--version']) },
  {
    name: 'sluice evaluate, one statement',
    secondsMax: 0.35,
    measure: () =>
      runToEnd(
        ['evaluate', '--sql', statement, '--topic', 'dt/7/x'].concat('--payload', '{"temp": 61.5}'),
      ),
  },
  { name: 'sluice lab, until it is ready', secondsMax: 0.9, measure: runLab },
  { name: 'sluice check, 200 rules in YAML', secondsMax: 1.2, measure: checkTemplate },
]

/** As a person would write it, in YAML with short tags. */
const ruleOf = (index: number) => `  Rule${index}:
    Type: AWS::IoT::TopicRule
    Properties:
      RuleName: !Sub '\${Stage}_rule_${index}'
      TopicRulePayload:
        AwsIotSqlVersion: 2016-03-23
        Sql: !Sub "SELECT *, topic(2) AS device FROM '\${Stage}/+/${index}' WHERE temp > 50"
        Actions:
          - Kinesis:
              StreamName: !Ref Stream
              PartitionKey: \${topic(2)}
              RoleArn: !GetAtt Role.Arn
          - Sqs:
              QueueUrl: !Sub 'https://sqs.\${AWS::Region}.amazonaws.com/\${AWS::AccountId}/q'
              RoleArn: !GetAtt Role.Arn
`

const templateOf = (rulesCount: number) => `Parameters:
  Stage: { Type: String, Default: dev }
Resources:
  Role: { Type: AWS::IAM::Role }
  Stream: { Type: AWS::Kinesis::Stream }
${Array.from({ length: rulesCount }, (_, index) => ruleOf(index)).join('')}`

async function checkTemplate(): Promise<number> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'sluice-bench-'))
  const file = path.join(folder, 'template.yaml')
  await writeFile(file, templateOf(200))
  const microseconds = await runToEnd(['check', file])
  await rm(folder, { recursive: true, force: true })
  return microseconds
}

async function runToEnd(words: readonly string[]): Promise<number> {
  const before = await endedChildrenMicroseconds()
  const child = spawn(process.execPath, [options.bin, ...words], { stdio: 'ignore' })
  const [code] = (await once(child, 'exit')) as [number | null]
  if (code !== 0) throw new Error(`sluice ${words.join(' ')} ended with ${code}`)
  return (await endedChildrenMicroseconds()) - before
}

async function runLab(): Promise<number> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'sluice-bench-'))
  const child = spawn(process.execPath, [options.bin, 'lab'], {
    cwd: folder,
    env: {
      PATH: process.env['PATH'],
      SLUICE_MQTT_PORT: '0',
      SLUICE_HTTP_PORT: '0',
      SLUICE_LAB_PORT: '0',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  let microseconds: number | undefined
  for await (const line of createInterface({ input: child.stdout })) {
    if (!line.includes('"msg":"ready"')) continue
    microseconds = await cpuMicroseconds(child.pid ?? 0)
    child.kill('SIGTERM')
  }
  await ended
  await rm(folder, { recursive: true, force: true })
  if (microseconds === undefined) throw new Error('the lab ended before it was ready')
  return microseconds
}

/** CPU time of the children of this process that ended. */
async function endedChildrenMicroseconds(): Promise<number> {
  const text = await readFile('/proc/self/stat', 'utf8')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[13]) + Number(fields[14])) * microsecondsPerTick
}

for (const { name, secondsMax, measure } of rows) {
  // The first run fills what Node and the system keep for the next one.
  await measure()
  let total = 0
  for (let run = 0; run < runs; run++) total += await measure()
  const seconds = total / runs / 1e6
  console.log(
    `${name.padEnd(32)} ${seconds.toFixed(2)} s of CPU, at most ${secondsMax.toFixed(2)}` +
      (seconds > secondsMax ? '  TOO MUCH' : ''),
  )
  if (seconds > secondsMax) process.exitCode = 1
}
