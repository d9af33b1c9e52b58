import { defineConfig } from 'vitest/config'

/**
 * Tests that spend their time on starts of the shell, of npm and of the commands. Those of what is
 * durable run with all others.
 */
export const processTests = [
  'test/docs/command-blocks.test.ts',
  'test/e2e/!(crash|kept-crash|earlier-data-folders|flush-*).test.ts',
]

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: [
      'test/long/**',
      'test/console/**',
      'test/moto/**',
      'test/clients/**',
      'test/apache-kafka/**',
      ...processTests,
    ],
    testTimeout: 20_000,
    // The tests wait for disks and sockets more than they compute.
    maxWorkers: '100%',
    // As scripts/build.mjs defines it for the bundle.
    env: { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true' },
    coverage: { provider: 'v8', include: ['src/**/*.ts'], reporter: ['text-summary', 'html'] },
  },
})
