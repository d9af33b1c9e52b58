import { spawnSync } from 'node:child_process'
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { temporaryFolder } from '../identity/identity-fixtures.ts'

/** The jobs of docs/LAB.md for CI servers, run as printed, in a project with the package. */
const root = path.resolve(import.meta.dirname, '../..')
const document = await readFile(path.join(root, 'docs/LAB.md'), 'utf8')

function job(file: string): unknown {
  const [, text] = document.split(`\`\`\`yaml\n# ${file}\n`)
  return parse(text?.split('```')[0] ?? '')
}

async function projectFolder(): Promise<string> {
  const folder = await temporaryFolder()
  await cp(path.join(root, 'rules'), path.join(folder, 'rules'), { recursive: true })
  await cp(path.join(root, 'samples/sam'), folder, { recursive: true })
  await writeFile(path.join(folder, 'package.json'), '{"private": true}')
  await mkdir(path.join(folder, 'node_modules/.bin'), { recursive: true })
  await symlink(root, path.join(folder, 'node_modules/sluice-iot'))
  await symlink('../sluice-iot/bin/sluice.js', path.join(folder, 'node_modules/.bin/sluice'))
  return folder
}

/** `npm ci` is what the folder has had already. */
async function run(lines: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  expect(lines[0]).toBe('npm ci')
  const folder = await projectFolder()
  const script = lines.slice(1).join('\n')
  const { status, stdout, stderr } = spawnSync('bash', ['-euc', script], {
    cwd: folder,
    encoding: 'utf8',
    // With a socket as its input bash takes itself for a remote shell, and reads an rc file.
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, npm_config_offline: 'true', ...environment },
  })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  return { stdout, report: await readFile(path.join(folder, 'reports/rules.xml'), 'utf8') }
}

test('the workflow for GitHub', { timeout: 60_000 }, async () => {
  const workflow = job('.github/workflows/rules.yml')
  expect(workflow).toMatchObject({ on: ['push', 'pull_request'], jobs: { check: {} } })
  const { jobs } = workflow as { jobs: { check: { steps: Record<string, unknown>[] } } }
  const { steps } = jobs.check
  for (const step of steps)
    expect(Object.keys(step)).toContainEqual(expect.stringMatching(/^uses|run$/))
  const lines = steps.flatMap((step) => (typeof step['run'] === 'string' ? [step['run']] : []))
  const { stdout, report } = await run(lines, { GITHUB_ACTIONS: 'true' })
  expect(stdout).toContain('ok    dev_readings (template.yaml)')
  expect(stdout).toMatch(/^::notice title=rules without tests::ArchiveHot$/m)
  expect(report).toContain('file="rules/hot_devices.json"')
})

test('the job for GitLab', { timeout: 60_000 }, async () => {
  const jobs = job('.gitlab-ci.yml')
  expect(jobs).toMatchObject({
    rules: { artifacts: { when: 'always', reports: { junit: 'reports/rules.xml' } } },
  })
  const { rules } = jobs as { rules: { script: string[] } }
  const { stdout, report } = await run(rules.script)
  expect(stdout).toContain('ok    hot_devices (rules/hot_devices.json)')
  expect(report).toContain('file="template.yaml"')
})
