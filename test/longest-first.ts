import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** End-to-end tests of half a minute and more. */
const LONG = ['page', 'ack-means-durable', 'known-wrong', 'sessions-kill', 'losses/power-cut', 'disk-full'].map(
  (name) => `/test/e2e/${name}.test.ts`,
)

/**
 * Where nothing is known of an earlier run, vitest begins with the biggest files; the longest tests are among the
 * smallest. One that begins last leaves a lane empty for as long as it takes.
 */
export default class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLong = ({ moduleId }: TestSpecification): boolean => LONG.some((file) => moduleId.endsWith(file))
    const { long = [], others = [] } = Object.groupBy(await super.sort(files), (file) =>
      isLong(file) ? 'long' : 'others',
    )
    return [...long, ...others]
  }
}
