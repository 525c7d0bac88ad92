/**
 * Makes what tests of an upgrade begin with: the data folder of a standalone Sluice of another checkout, with `npm ci` done
 * there, and what that version answers about it. With an archive both are packed for git.
 *
 *     git worktree add ../old 6a8afcf && (cd ../old && npm ci)
 *     node load-tests/upgrade/main.ts ../old /tmp/old-data [archive.tar.gz]
 */
import { execFileSync } from 'node:child_process'
import { makeFolder } from './make.ts'

const [checkout, out, archive] = process.argv.slice(2)
if (checkout === undefined || out === undefined) throw new Error('which checkout, and where to?')
await makeFolder(checkout, out)
if (archive !== undefined) {
  // The room that is kept free is made anew.
  const args = [
    '--owner=0',
    '--group=0',
    '--exclude=disk-reserve',
    '-C',
    out,
    '-I',
    'gzip -9',
    '-cf',
    archive,
    'data',
    'expected.json',
  ]
  execFileSync('tar', args)
}
