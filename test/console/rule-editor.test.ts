import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Action } from '@aws-sdk/client-iot'
import type { Page } from 'playwright-core'
import { describe, expect, test } from 'vitest'
import { actionKinds } from '../../src/actions/compile-actions.ts'
import { startLab } from '../app/lab-fixtures.ts'
import { colourSchemes, isBrowserThere, useBrowser, viewports, whySkipped } from './browser.ts'

const axeFile = createRequire(import.meta.url).resolve('axe-core/axe.min.js')
const role = 'arn:aws:iam::000000000000:role/any'
const queueUrl = 'https://sqs.us-east-1.amazonaws.com/000000000000/q'
const sql = "SELECT * FROM 'dt/+/t' WHERE temp > 50"
/** A browser is slow where other tests run beside it. */
const patient = { timeout: 60_000 }
const polled = { timeout: 15_000 }
const open = useBrowser()

async function labWithRule() {
  const lab = await startLab()
  const actions: Action[] = [
    { kinesis: { streamName: 'hot', partitionKey: '${topic(2)}', roleArn: role } },
  ]
  await lab.createRule('hot', { sql, actions, awsIotSqlVersion: '2016-03-23' })
  const storedRule = async () => {
    const answer = await fetch(`${lab.url}/rules/hot`)
    return ((await answer.json()) as { rule: object }).rule
  }
  const deleteRule = (name: string) => fetch(`${lab.url}/rules/${name}`, { method: 'DELETE' })
  return { at: (path: string) => `${lab.url}/console/${path}`, storedRule, deleteRule }
}

/** The words that are underlined in the statement. */
const underlined = (page: Page) => page.locator('.statement .cm-lintRange-error').allInnerTexts()
const card = (page: Page, name: string) => page.getByRole('region', { name, exact: true })
const jsonView = (page: Page) => page.getByLabel('Actions and settings', { exact: true })

async function openRule() {
  const lab = await labWithRule()
  const page = await open(lab.at('rules/hot'))
  const statement = page.getByLabel('Statement')
  await statement.waitFor()
  return { ...lab, page, statement }
}

async function saveReviewed(page: Page) {
  await page.keyboard.press('Control+s')
  await page
    .getByRole('group', { name: 'What changes' })
    .getByRole('button', { name: 'Save' })
    .click()
}

describe.skipIf(!isBrowserThere)(`the editor of a rule${whySkipped}`, patient, () => {
  test('underlines a misspelt function, says what was meant, and goes there with F8', async () => {
    const { page, statement } = await openRule()
    await statement.fill("SELECT topc(2) AS device\nFROM 'dt/+/t' WHERE temp > 50")
    await expect.poll(() => underlined(page), polled).toEqual(['topc'])
    const faults = page.locator('.fault-list')
    expect(await faults.innerText()).toContain(
      'sql, line 1, column 8: unknown function topc(): did you mean topic()?',
    )
    expect(await statement.getAttribute('aria-invalid')).toBe('true')
    const described = page.locator('.statement #description')
    expect(await described.textContent()).toMatch(/^unknown function topc/)
    await statement.press('Control+Home')
    await page.keyboard.press('F8')
    await page.getByText('unknown function topc(): did you mean topic()?').first().waitFor()
    await page.keyboard.type('topic')
    await expect.poll(() => underlined(page), polled).toEqual([])
    await faults.getByText('One fault').waitFor({ state: 'detached' })
    expect(await statement.innerText()).toBe(
      "SELECT topic(2) AS device\nFROM 'dt/+/t' WHERE temp > 50",
    )
  })

  test('what is typed is there again after another page, and after a reload', async () => {
    const { page, statement } = await openRule()
    const note = page.getByText('This is what you typed before')
    await statement.fill("SELECT a FROM 'b'")
    await page.getByRole('link', { name: 'Live', exact: true }).click()
    await page.getByRole('heading', { name: 'Live' }).waitFor()
    await page.goBack()
    await note.waitFor()
    expect(await statement.innerText()).toBe("SELECT a FROM 'b'")
    let asked = 0
    page.on('dialog', (dialog) => {
      if (dialog.type() === 'beforeunload') asked++
      void dialog.accept()
    })
    await page.reload()
    await note.waitFor()
    expect(asked).toBe(1)
    await saveReviewed(page)
    await note.waitFor({ state: 'detached' })
    await page.reload()
    await statement.waitFor()
    expect([asked, await note.count()]).toEqual([1, 0])
    await statement.fill('SELECT')
    await page.reload()
    await page.getByRole('button', { name: 'Discard it' }).click()
    await expect.poll(() => statement.innerText(), polled).toBe("SELECT a FROM 'b'")
    await page.reload()
    await statement.waitFor()
    expect(await note.count()).toBe(0)
  })

  test('completes functions, keywords and members of the message, and shows signatures', async () => {
    const { page, statement } = await openRule()
    await page.getByLabel('Payload').fill('{"temp": 61.5, "room": {"name": "hall"}}')
    await statement.fill('SELECT ')
    await statement.press('End')
    await page.keyboard.type('topi')
    const list = page.getByRole('listbox')
    await list.getByRole('option', { name: 'topic(level?)' }).waitFor()
    // A list that has just opened takes no keys, which may have been meant for the text.
    await page.waitForTimeout(150)
    await page.keyboard.press('Enter')
    await expect.poll(() => statement.innerText(), polled).toBe('SELECT topic()')
    await page.keyboard.type('2')
    const signature = page.locator('.sql-signature')
    expect(await signature.innerText()).toMatch(/^topic\(level\?\)\s+The topic of the message/)
    expect(await signature.locator('strong').innerText()).toBe('level?')
    // The first press may close a list of completions that is about to open.
    const escaped = async () => {
      await page.keyboard.press('Escape')
      return signature.count()
    }
    await expect.poll(escaped, polled).toBe(0)
    await page.keyboard.press('End')
    await page.keyboard.type(', room.')
    await list.getByRole('option', { name: /^name/ }).waitFor()
    await page.waitForTimeout(150)
    await page.keyboard.press('Tab')
    await page.keyboard.type(' fro')
    await list.getByRole('option', { name: 'FROM' }).waitFor()
    await page.waitForTimeout(150)
    await page.keyboard.press('Enter')
    await expect.poll(() => statement.innerText(), polled).toBe('SELECT topic(2), room.name FROM')
    // Without a list the key goes on to what comes next, so that nobody is caught in the editor.
    await page.keyboard.press('Tab')
    expect(await statement.evaluate((element) => element.matches(':focus'))).toBe(false)
  })

  test('an SQS action is added by form, put first, and saved', async () => {
    const { page, storedRule } = await openRule()
    await page.getByLabel('Kind of the new action').selectOption('sqs')
    await page.getByRole('button', { name: 'Add an action' }).click()
    const sqs = card(page, 'Action 2: sqs')
    await sqs.getByLabel('queueUrl').fill('q-${topc(1)}')
    await sqs.getByText('character 5: unknown function topc(): did you mean topic()?').waitFor()
    expect(await sqs.locator('.cm-lintRange-error').allInnerTexts()).toEqual(['topc'])
    await sqs.getByLabel('queueUrl').fill(queueUrl)
    await sqs.getByText('Optional: useBase64').click()
    await sqs.getByLabel('useBase64').check()
    await sqs.getByRole('button', { name: 'Move Action 2: sqs up' }).click()
    await card(page, 'Action 1: sqs').waitFor()
    await page.getByLabel('Kind of the error action').selectOption('s3')
    await page.getByRole('button', { name: 'Add an error action' }).click()
    const s3 = card(page, 'Error action: s3')
    await s3.getByLabel('bucketName').fill('faults')
    await s3.getByLabel('key').fill('${topic()}/${timestamp()}')
    await saveReviewed(page)
    const kinesis = { streamName: 'hot', partitionKey: '${topic(2)}', roleArn: role }
    const expected = {
      actions: [{ sqs: { roleArn: role, queueUrl, useBase64: true } }, { kinesis }],
      errorAction: {
        s3: { roleArn: role, bucketName: 'faults', key: '${topic()}/${timestamp()}' },
      },
    }
    await expect.poll(storedRule, polled).toMatchObject(expected)
  })

  test('form and JSON show the same, and what no form knows is kept', async () => {
    const { page, storedRule } = await openRule()
    const switchTo = (view: string) => page.getByRole('button', { name: view, exact: true }).click()
    await switchTo('JSON')
    const http = {
      url: 'https://example.com/readings',
      headers: [
        { key: 'a', value: '1' },
        { key: 'b', value: '${temp}' },
      ],
      auth: { sigv4: { signingRegion: 'eu-west-1', serviceName: 's', roleArn: role } },
      batchConfig: { maxBatchSize: 5, batchAcrossTopics: false },
      further: [1, { two: null }],
    }
    const settings = { actions: [{ http }], awsIotSqlVersion: '2016-03-23', ruleDisabled: true }
    await jsonView(page).fill('{"actions": [')
    await page.locator('.field-fault').getByText('line 1, column 14: ').waitFor()
    expect(await page.getByRole('button', { name: 'Form' }).isDisabled()).toBe(true)
    await jsonView(page).fill(JSON.stringify(settings))
    await switchTo('Form')
    const form = card(page, 'Action 1: http')
    expect(await form.getByLabel('further').inputValue()).toContain('"two": null')
    await form.getByText('is not a known member').waitFor()
    await switchTo('JSON')
    expect(JSON.parse(await jsonView(page).inputValue())).toEqual(settings)
    await switchTo('Form')
    await form.getByRole('button', { name: 'Remove further' }).click()
    await form.getByRole('button', { name: 'Add to headers' }).click()
    const third = form.getByRole('group', { name: 'headers 3' })
    await third.getByLabel('key').fill('c')
    await third.getByLabel('value').fill('${room}')
    await form.getByRole('button', { name: 'Remove headers 1' }).click()
    await expect.poll(() => page.locator('.fault-list').innerText(), polled).toBe('')
    await saveReviewed(page)
    const { further: _further, ...kept } = http
    const headers = [
      { key: 'b', value: '${temp}' },
      { key: 'c', value: '${room}' },
    ]
    await expect
      .poll(storedRule, polled)
      .toMatchObject({ actions: [{ http: { ...kept, headers } }] })
  })

  test('all faults are shown at once, each where it is', async () => {
    const { page, statement } = await openRule()
    await statement.fill('SELECT FROM')
    await page.getByRole('button', { name: 'Add an action' }).click()
    const first = card(page, 'Action 1: kinesis')
    const second = card(page, 'Action 2: kinesis')
    await first.getByLabel('roleArn').fill('arn')
    await second.getByLabel('streamName').fill('a b')
    await first.getByText(/must match/).waitFor()
    await second
      .getByText(/streamName|name of a stream|1 to 128/)
      .first()
      .waitFor()
    const faults = page.locator('.fault-list')
    await expect.poll(() => faults.getByRole('button').count(), polled).toBe(3)
    await faults.getByRole('button', { name: 'actions[0].kinesis.roleArn' }).click()
    expect(await first.getByLabel('roleArn').evaluate((field) => field.matches(':focus'))).toBe(
      true,
    )
  })

  test('the sample rule is created as it stands', async () => {
    const { at, deleteRule } = await labWithRule()
    await deleteRule('hot_devices')
    const page = await open(at('rules?new=sample'))
    await page.getByRole('button', { name: 'Create' }).click()
    await page.getByRole('heading', { name: 'hot_devices', exact: true }).waitFor()
    expect(page.url()).toBe(at('rules/hot_devices'))
  })

  test('an action of every kind is a form in which nothing is unknown', async () => {
    const { page } = await openRule()
    await card(page, 'Action 1: kinesis')
      .getByRole('button', { name: /^Remove/ })
      .click()
    for (const kind of actionKinds) {
      await page.getByLabel('Kind of the new action').selectOption(kind)
      await page.getByRole('button', { name: 'Add an action' }).click()
      const form = card(page, `Action 1: ${kind}`)
      expect([kind, await form.locator('.field, fieldset').count()]).not.toEqual([kind, 0])
      expect([kind, await form.getByText('as JSON').count()]).toEqual([kind, 0])
      await form.getByRole('button', { name: /^Remove Action/ }).click()
    }
    expect(actionKinds).toHaveLength(24)
  })
})

describe
  .skipIf(!isBrowserThere)
  .each(
    viewports.flatMap((viewport) =>
      colourSchemes.map((colorScheme) => [viewport.width, colorScheme, viewport] as const),
    ),
  )(`at %i pixels, %s${whySkipped}`, patient, (_width, colorScheme, viewport) => {
  test('axe-core finds nothing serious in the editor, with a fault and its forms', async () => {
    const { at } = await labWithRule()
    const page = await open(at('rules/hot'), { viewport, colorScheme })
    for (const kind of ['timestream', 'kafka', 'http']) {
      await page.getByLabel('Kind of the new action').selectOption(kind)
      await page.getByRole('button', { name: 'Add an action' }).click()
    }
    await page.getByLabel('Statement').fill("SELECT topc(2) FROM 'dt/+/t'")
    await page.locator('.fault-list .failure').waitFor()
    await page.evaluate(readFileSync(axeFile, 'utf8'))
    const { violations } = await page.evaluate<{
      readonly violations: readonly { id: string; impact: string; nodes: { html: string }[] }[]
    }>('axe.run()')
    const serious = violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`)
    expect(serious).toEqual([])
    const overflow = await page.evaluate<number>(
      'document.documentElement.scrollWidth - document.documentElement.clientWidth',
    )
    expect(overflow).toBe(0)
  })
})
