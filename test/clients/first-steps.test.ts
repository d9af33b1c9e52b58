/** The first steps with things of docs/DEVICES.md, as they are printed; and Terraform. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { commandBlocksOf } from '../docs/document-blocks.ts'
import { startSluice, temporaryFolder } from '../helpers/sluice-process.ts'
import { awsCliEnvironment, findAwsCli } from './aws-cli-program.ts'

const root = path.resolve(import.meta.dirname, '../..')
const program = path.join(root, 'bin/sluice.js')
const document = readFileSync(path.join(root, 'docs/DEVICES.md'), 'utf8')
const [, section = ''] = /^## First steps with things$([^]*?)^## /m.exec(document) ?? []
const [setUp, ...steps] = commandBlocksOf(section)
const stepsMsMax = 300_000
const run = promisify(execFile)

const cli = await findAwsCli()

async function startLab(environment: Readonly<Record<string, string>> = {}) {
  const folder = await temporaryFolder()
  onTestFinished(() => folder.remove())
  await run(process.execPath, [program, 'certs'], { cwd: folder.path })
  const lab = startSluice(['lab'], environment, { cwd: folder.path })
  onTestFinished(async () => {
    lab.kill('SIGTERM')
    await lab.ended
  })
  return { folder: folder.path, ready: await lab.ready() }
}

test('the steps are those of the document', { timeout: stepsMsMax }, async (it) => {
  if (!cli.isThere) it.skip(`there is no AWS CLI: ${cli.reason}`)
  const [certs, server = ''] = setUp?.commands ?? []
  expect(certs).toBe('sluice certs')
  const variables = [...server.matchAll(/(SLUICE_\w+)=(\S+)/g)]
  const environment = Object.fromEntries(variables.map(([, name, value]) => [name, value]))
  expect(Object.keys(environment)).toHaveLength(4)
  const { folder, ready } = await startLab({ ...environment, SLUICE_MQTTS_PORT: '0' })

  const sluice = `sluice() { '${process.execPath}' '${program}' "$@"; }`
  const commands = steps
    .map(({ text }) => text)
    .join('\n')
    .replaceAll('127.0.0.1:8080', `127.0.0.1:${String(ready['http'])}`)
    .replaceAll('-p 8883', `-p ${String(ready['mqtts'])}`)
  const options = { cwd: folder, env: awsCliEnvironment(cli), timeout: stepsMsMax }
  const bash = (text: string) => run('bash', ['-euc', `${sluice}\n${text}`], options)
  const { stdout } = await bash(commands)
  expect(stdout).toMatch(/"on":true,"room":"kitchen"/)

  // What the text says of the end.
  const publishing = /sluice pub [^]*?'\{"on": true\}'/.exec(commands)?.[0] ?? ''
  await expect(bash(publishing)).rejects.toMatchObject({
    stderr: expect.stringContaining('refused the connection') as string,
  })
})

const definition = `
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

resource "aws_iot_thing" "lamp" {
  name       = "lamp"
  attributes = { room = "kitchen" }
}

resource "aws_iot_certificate" "lamp" {
  active = true
}

resource "aws_iot_policy" "lamps" {
  name = "lamps"
  tags = { team = "plant" }
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "iot:Connect", Resource = "*" }]
  })
}

resource "aws_iot_policy_attachment" "lamp" {
  policy = aws_iot_policy.lamps.name
  target = aws_iot_certificate.lamp.arn
}

resource "aws_iot_thing_principal_attachment" "lamp" {
  thing     = aws_iot_thing.lamp.name
  principal = aws_iot_certificate.lamp.arn
}

provider "aws" {
  region                      = "us-east-1"
  access_key                  = "x"
  secret_key                  = "x"
  skip_credentials_validation = true
  skip_requesting_account_id  = true
  skip_metadata_api_check     = true
  endpoints { iot = "<http>" }
}
`

test('Terraform creates, changes and destroys', { timeout: 2 * stepsMsMax }, async (it) => {
  const { folder, ready } = await startLab()
  const url = `http://127.0.0.1:${String(ready['http'])}`
  const main = path.join(folder, 'main.tf')
  const options = {
    cwd: folder,
    env: { ...process.env, CHECKPOINT_DISABLE: 'true' },
    timeout: stepsMsMax,
  }
  const terraform = (...words: readonly string[]) => run('terraform', [...words], options)
  await writeFile(main, definition.replace('<http>', url))
  const problem = await terraform('init', '-input=false', '-no-color').then(
    () => undefined,
    (thrown: unknown) => String(thrown).slice(0, 300),
  )
  if (problem !== undefined) it.skip(`Terraform or its provider is not to be had: ${problem}`)
  const apply = () => terraform('apply', '-auto-approve', '-input=false', '-no-color')
  expect((await apply()).stdout).toMatch(/5 added, 0 changed, 0 destroyed/)
  const changed = definition.replace('"iot:Connect"', '"iot:Publish"').replace('kitchen', 'hall')
  await writeFile(main, changed.replace('<http>', url))
  expect((await apply()).stdout).toMatch(/0 added, 2 changed, 0 destroyed/)
  // Nothing is left to change when everything was read as it was written.
  expect((await apply()).stdout).toMatch(/0 added, 0 changed, 0 destroyed/)
  const { stdout } = await terraform('destroy', '-auto-approve', '-input=false', '-no-color')
  expect(stdout).toMatch(/5 destroyed/)
})
