import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Files that take half a minute and more. */
const LONG = [
  ...['integration/broker/acl-negative', 'integration/broker/conformance/one-node', 'contract/points-sqlite'],
  ...['e2e/page', 'e2e/ack-means-durable', 'e2e/known-wrong', 'e2e/sessions-kill', 'e2e/losses/power-cut'],
  'e2e/disk-full',
].map((name) => `/test/${name}.test.ts`)

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
