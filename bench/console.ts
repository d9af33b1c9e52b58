import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { chromium } from 'playwright-core'
import type { Browser, Page } from 'playwright-core'
import { cpuMicroseconds, runLoad, startEngine, startSink } from './processes.ts'
import type { Engine } from './processes.ts'

/**
 * `npm run bench:console`: what a page of the console costs at 10,000 messages a second: the CPU of
 * the engine beside that without a page, the CPU of the browser, and the memory of the page after a
 * collection. Before that, how long a page takes to its first paint, with nothing cached.
 */
const usage = `npm run bench:console -- [options]

  --seconds <n>  measured time of each row (default 10), after 4 s of warming up
  --rounds <n>   how often each row is measured, in turn (default 3)
  --rate <n>     messages a second (default 10000)
  --browser <f>  Chromium (default /usr/bin/chromium)
`

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    rounds: { type: 'string', default: '3' },
    rate: { type: 'string', default: '10000' },
    browser: { type: 'string', default: '/usr/bin/chromium' },
    help: { type: 'boolean', default: false },
  },
})

const rows = [
  { name: 'nobody watches', path: undefined },
  { name: 'Overview', path: '' },
  { name: 'Live', path: 'live' },
  { name: 'Live, one topic', path: 'live?topic=bench/1' },
] as const

interface Figures {
  readonly engineUs: number
  /** Of one core. */
  readonly enginePercent: number
  readonly browserPercent: number
  readonly heapMiB: number | undefined
}

/** The CPU time of a process and of all that it has started, in microseconds. */
async function cpuOfTree(rootPid: number): Promise<number> {
  const parents = new Map<number, number>()
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const text = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    parents.set(Number(name), Number(fields[1]))
  }
  const isOfTree = (pid: number): boolean =>
    pid === rootPid || (parents.has(pid) && isOfTree(parents.get(pid) ?? 0))
  const pids = [...parents.keys()].filter(isOfTree)
  const times = await Promise.all(pids.map((pid) => cpuMicroseconds(pid).catch(() => 0)))
  return times.reduce((sum, time) => sum + time, 0)
}

/** The memory of the objects of a page, after a collection. */
async function heapMiB(page: Page): Promise<number> {
  const session = await page.context().newCDPSession(page)
  await session.send('HeapProfiler.collectGarbage')
  const { usedSize } = await session.send('Runtime.getHeapUsage')
  await session.detach()
  return usedSize / 1_048_576
}

async function measure(engine: Engine, server: BrowserProcess, path?: string): Promise<Figures> {
  const page =
    path === undefined
      ? undefined
      : await server.browser.newPage({ viewport: { width: 1280, height: 800 } })
  await page?.goto(`http://127.0.0.1:${engine.httpPort}/console/${path}`)
  const before = { engine: 0, browser: 0, atMs: 0 }
  const report = await runLoad(
    {
      connections: 50,
      window: 40,
      qos: 1,
      payloadBytes: 200,
      rate: Number(options.rate),
      warmUpMs: 4_000,
      measureMs: Number(options.seconds) * 1_000,
      port: engine.port,
    },
    () => {
      before.atMs = performance.now()
      void cpuMicroseconds(engine.pid).then((cpu) => (before.engine = cpu))
      void cpuOfTree(server.pid).then((cpu) => (before.browser = cpu))
    },
  )
  const elapsedUs = (performance.now() - before.atMs) * 1_000
  const engineUs = (await cpuMicroseconds(engine.pid)) - before.engine
  const browserUs = (await cpuOfTree(server.pid)) - before.browser
  const heap = page && (await heapMiB(page))
  await page?.close()
  return {
    engineUs: engineUs / report.measured,
    enginePercent: (engineUs / elapsedUs) * 100,
    browserPercent: (browserUs / elapsedUs) * 100,
    heapMiB: heap,
  }
}

interface BrowserProcess {
  readonly browser: Browser
  readonly pid: number
}

async function startBrowser(): Promise<BrowserProcess> {
  const server = await chromium.launchServer({
    executablePath: options.browser,
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
  })
  const { pid } = server.process()
  if (pid === undefined) throw new Error('the browser did not start')
  return { browser: await chromium.connect(server.wsEndpoint()), pid }
}

/** Milliseconds from the start of navigation, in a context that has nothing cached. */
async function firstPaintMs({ browser }: BrowserProcess, url: string): Promise<number> {
  const context = await browser.newContext()
  const page = await context.newPage()
  await page.goto(url)
  const ms = await page.evaluate<number>(
    `new Promise((resolve) => new PerformanceObserver((list) => {
       for (const { startTime } of list.getEntriesByName('first-contentful-paint')) resolve(startTime)
     }).observe({ type: 'paint', buffered: true }))`,
  )
  await context.close()
  return ms
}

const median = (values: readonly number[]): number =>
  values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)] ?? Number.NaN

async function printTable(): Promise<void> {
  const sink = await startSink()
  const engine = await startEngine({ sinkPort: sink.port, unansweredMax: 64, otherRules: 0 })
  const server = await startBrowser()
  const paints: number[] = []
  for (let count = 0; count < 5; count++) {
    paints.push(await firstPaintMs(server, `http://127.0.0.1:${engine.httpPort}/console/`))
  }
  console.log(
    `first paint: ${median(paints).toFixed(0)} ms, the slowest of 5 ${Math.max(...paints).toFixed(0)} ms\n`,
  )
  console.log(
    '| page | engine us/message | engine, % of a core | browser, % of a core | heap MiB |',
  )
  console.log('| --- | ---: | ---: | ---: | ---: |')
  for (let round = 0; round < Number(options.rounds); round++) {
    for (const { name, path } of rows) {
      const figures = await measure(engine, server, path)
      const cells = [
        name,
        figures.engineUs.toFixed(1),
        figures.enginePercent.toFixed(1),
        path === undefined ? '' : figures.browserPercent.toFixed(1),
        figures.heapMiB?.toFixed(1) ?? '',
      ]
      console.log(`| ${cells.join(' | ')} |`)
    }
  }
  await server.browser.close()
  process.kill(server.pid)
  await engine.stop()
  await sink.stop()
}

if (options.help) process.stdout.write(usage)
else if (!existsSync(options.browser)) throw new Error(`there is no browser at ${options.browser}`)
else await printTable()
