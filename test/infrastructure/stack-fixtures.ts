import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { onTestFinished } from 'vitest'
import { readStack } from '../../src/infrastructure/read-stack.ts'
import type { Stack } from '../../src/infrastructure/stack.ts'

const region = 'eu-west-1'
const accountId = '000000000000'

export function read(file: string, parameters: Readonly<Record<string, string>> = {}) {
  return readStack(file, { region, accountId, parameters: new Map(Object.entries(parameters)) })
}

/** Writes files into a new folder that is removed after the test. */
export async function folderOf(files: Readonly<Record<string, unknown>>): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'sluice-stack-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  for (const [name, content] of Object.entries(files)) {
    const file = path.join(folder, name)
    await mkdir(path.dirname(file), { recursive: true })
    await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content))
  }
  return folder
}

/** Reads one template. */
export async function readText(
  text: unknown,
  parameters: Readonly<Record<string, string>> = {},
  name = 'template.yaml',
): Promise<Stack> {
  const folder = await folderOf({ [name]: text })
  return read(path.join(folder, name), parameters)
}

/** A rule whose only statement is the given value, beside other sections. */
export const ruleWith = (sql: unknown, more: Readonly<Record<string, unknown>> = {}) => ({
  ...more,
  Resources: {
    Rule: {
      Type: 'AWS::IoT::TopicRule',
      Properties: { TopicRulePayload: { Sql: sql, Actions: [] } },
    },
    ...(more['Resources'] as object | undefined),
  },
})
