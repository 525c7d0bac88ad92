import { defineConfig } from 'vitest/config'
import { PATIENCE } from './test/patience.ts'

const faults = 'test/e2e/cluster/*.cluster.test.ts'
const common = {
  pool: 'forks' as const,
  // The first run builds what is not in the cache; InfluxDB takes minutes.
  hookTimeout: 1_800_000,
  setupFiles: ['test/setup.ts'],
  expect: { poll: PATIENCE },
}

// `npm run test:cluster`: every file starts the real servers that it needs (load-tests/servers), so one at a time; but the
// faults under load, which for the most part wait, go two at a time.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          ...common,
          name: 'cluster',
          include: ['test/**/*.cluster.test.ts'],
          exclude: ['node_modules/**', faults],
          testTimeout: 120_000,
          maxWorkers: 1,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...common,
          name: 'faults',
          include: [faults],
          testTimeout: 240_000,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
