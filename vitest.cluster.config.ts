import { defineConfig } from 'vitest/config'
import './test/compile-cache.ts'
import { PATIENCE } from './test/patience.ts'

const faults = 'test/e2e/cluster/*.cluster.test.ts'
const common = {
  pool: 'forks' as const,
  // The first run builds what is not in the cache; InfluxDB takes minutes.
  hookTimeout: 1_800_000,
  setupFiles: ['test/setup.ts'],
  expect: { poll: PATIENCE },
  maxWorkers: 2,
  // Half of the processor time of a Kafka broker that lives for a minute goes into code for one that lives for days.
  env: { JDK_JAVA_OPTIONS: '-XX:TieredStopAtLevel=1' },
}

// `npm run test:cluster`: every file starts the real servers that it needs (load-tests/servers), and for the most part
// waits for them: two at a time. Then the faults under load.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          ...common,
          name: 'cluster',
          include: ['test/**/*.cluster.test.ts'],
          exclude: ['node_modules/**', faults],
          testTimeout: 300_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...common,
          name: 'faults',
          include: [faults],
          testTimeout: 300_000,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
