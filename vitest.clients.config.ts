import { defineConfig, mergeConfig } from 'vitest/config'
import config from './vitest.config.ts'

/** `npm run test:clients`: the clients of docs/CLIENTS.md and the AWS CLI against a lab. */
export default mergeConfig(
  { ...config, test: { ...config.test, projects: undefined } },
  // The names of skipped tests say why they are.
  defineConfig({ test: { include: ['test/clients/**/*.test.ts'], reporters: ['verbose'] } }),
)
