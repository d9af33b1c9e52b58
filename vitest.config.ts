import { defineConfig } from 'vitest/config'

/**
 * Tests that spend their time on starts of the shell, of npm and of the commands. Those of what is
 * durable run with all others.
 */
export const processTests = [
  'test/docs/command-blocks.test.ts',
  'test/e2e/!(crash|kept-crash|earlier-data-folders|flush-*).test.ts',
]

/**
 * Rooms whose tests share one process, so that it loads what they test once instead of once for
 * each file: they start nothing that goes on behind them, and change nothing for the process.
 */
const roomsInOneProcess = [
  'actions',
  'base',
  'config',
  'conformance',
  'engine',
  'external',
  'identity',
  'infrastructure',
  'rules',
  'sigv4',
  'sql',
  'telemetry',
  'topics',
].map((room) => `test/${room}/**/*.test.ts`)

const others = [
  'test/long/**',
  'test/console/**',
  'test/moto/**',
  'test/clients/**',
  'test/apache-kafka/**',
  'test/cluster/nats/**',
  ...processTests,
]

export default defineConfig({
  test: {
    projects: [
      {
        extends: true,
        test: { name: 'one process', include: roomsInOneProcess, exclude: others, isolate: false },
      },
      {
        extends: true,
        test: {
          name: 'a process each',
          include: ['test/**/*.test.ts'],
          exclude: [...others, ...roomsInOneProcess],
        },
      },
    ],
    testTimeout: 20_000,
    // The tests wait for disks and sockets more than they compute.
    maxWorkers: '100%',
    // As scripts/build.mjs defines it for the bundle.
    env: { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true' },
    coverage: { provider: 'v8', include: ['src/**/*.ts'], reporter: ['text-summary', 'html'] },
  },
})
