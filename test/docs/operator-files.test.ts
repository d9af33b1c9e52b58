import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { laneCount } from '../../src/cluster/log/replicated-log.ts'
import { createClusterMetrics } from '../../src/telemetry/cluster-metrics.ts'
import { processMetrics } from '../../src/telemetry/process-metrics.ts'
import { createMetrics } from '../../src/telemetry/telemetry.ts'

interface Alerts {
  readonly groups: readonly {
    readonly rules: readonly {
      readonly alert: string
      readonly expr: string
      readonly labels: { readonly severity: string }
      readonly annotations: { readonly summary: string; readonly description: string }
    }[]
  }[]
}
interface Dashboard {
  readonly templating: { readonly list: readonly { readonly query: unknown }[] }
  readonly panels: readonly {
    readonly title: string
    readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[]
  }[]
}

const read = (path: string) => readFile(new URL(`../../deploy/${path}`, import.meta.url), 'utf8')
const { groups } = parse(await read('prometheus/alerts.yml')) as Alerts
const alerts = groups.flatMap(({ rules }) => rules)
const dashboard = JSON.parse(await read('grafana/sluice.json')) as Dashboard
const targets = dashboard.panels.flatMap(({ title, targets: of = [] }) =>
  of.map(({ expr, legendFormat }) => ({ title, expr, legendFormat })),
)
const uses = [
  ...alerts.map(({ alert, expr, annotations }) => {
    return { name: alert, expr, text: annotations.summary + annotations.description }
  }),
  ...targets.map(({ title, expr, legendFormat }) => ({ name: title, expr, text: legendFormat })),
]

/** The labels of each series that the engine exposes, beside those that Prometheus adds. */
async function exposedSeries(): Promise<ReadonlyMap<string, readonly string[]>> {
  const { registry } = createMetrics()
  createClusterMetrics(registry)
  const series = new Map<string, readonly string[]>()
  for (const metric of registry.getMetricsAsArray()) {
    const { name, labelNames, type } = metric as unknown as {
      readonly name: string
      readonly labelNames: readonly string[]
      readonly type: string
    }
    series.set(name, labelNames)
    if (type !== 'histogram') continue
    series.set(`${name}_bucket`, [...labelNames, 'le'])
    for (const end of ['_sum', '_count']) series.set(`${name}${end}`, labelNames)
  }
  for (const [, name = ''] of (await processMetrics()).matchAll(/^# TYPE (\S+)/gm)) {
    series.set(name, [])
  }
  return series.set('up', [])
}

const ofPrometheus = ['instance', 'job']
const words = /[a-z_]{2,}_[a-z0-9_]+|\bup\b/g
const functions = /\b(histogram_quantile|topk|label_values)\b/g

/** The labels that an expression selects or groups by, and that a text shows. */
const labelsIn = (expr: string, text: string): string[] => [
  ...[...expr.matchAll(/(\w+)=~?"/g)].map(([, label = '']) => label),
  ...[...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(/, */)),
  ...[...text.matchAll(/\{\{ ?(?:\$labels\.)?([a-z]+) ?\}\}/g)].map(([, label = '']) => label),
]

/** The metrics of an expression, without its functions and what stands in quotes or `by`. */
const metricsIn = (expr: string): string[] => {
  const bare = expr.replaceAll(/"[^"]*"|\bby \([^)]*\)|\{[^}]*\}/g, '').replaceAll(functions, '')
  return [...bare.matchAll(words)].map(([name]) => name)
}

test('alerts and dashboard name metrics and labels that the engine exposes', async () => {
  const exposed = await exposedSeries()
  expect(uses.length).toBeGreaterThan(40)
  for (const { name, expr, text } of uses) {
    const names = metricsIn(expr)
    expect({ name, names: names.length }).not.toEqual({ name, names: 0 })
    expect({ name, absent: names.filter((one) => !exposed.has(one)) }).toEqual({ name, absent: [] })
    const known = [...names.flatMap((one) => exposed.get(one) ?? []), ...ofPrometheus]
    const unknown = labelsIn(expr, text).filter((label) => !known.includes(label))
    expect({ name, unknown }).toEqual({ name, unknown: [] })
  }
})

test('every alert says how grave it is and what to do', () => {
  for (const { alert, labels, annotations } of alerts) {
    expect(alert).toMatch(/^Sluice[A-Z]/)
    expect(['critical', 'warning']).toContain(labels.severity)
    expect(annotations.summary).not.toBe('')
    expect(annotations.description).toMatch(/\.$/)
  }
  expect(new Set(alerts.map(({ alert }) => alert)).size).toBe(alerts.length)
})

test('the alert for lanes without an owner knows how many there are', () => {
  const lanes = alerts.find(({ alert }) => alert === 'SluiceLanesUnowned')
  expect(lanes?.expr).toMatch(new RegExp(`< ${laneCount}$`))
  expect(lanes?.annotations.summary).toContain(`${laneCount} lanes`)
})

test('the values of the label `metric` are those that there are', async () => {
  const source = await readFile(
    new URL('../../src/telemetry/aws-iot-samples.ts', import.meta.url),
    'utf8',
  )
  const named = uses.flatMap(({ expr }) => [...expr.matchAll(/metric=~?"([^"]+)"/g)])
  const values = named.flatMap(([, value = '']) => value.split('|'))
  expect(values).not.toEqual([])
  for (const value of values) expect(source).toContain(value.replace(/^ErrorAction/, ''))
})
