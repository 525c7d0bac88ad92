import { readFileSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'

/** What runs: `version` as in package.json, the `commit` it was built or checked out from when that is known, and the Node. */
export interface Build {
  readonly version: string
  readonly commit: string | undefined
  readonly node: string
}

const ROOT = join(import.meta.dirname, '../..')

let ours: Build | undefined

/** Of this checkout or image, as it was when the process first asked. */
export function thisBuild(): Build {
  return (ours ??= buildOf(ROOT))
}

/** Of the checkout or image in a folder. */
export function buildOf(root: string): Build {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
  return { version, commit: commitOf(root), node: process.version }
}

/** A build in one line, for people. */
export function buildText({ version, commit, node }: Build): string {
  return `${version} (${commit === undefined ? '' : `commit ${commit.slice(0, 12)}, `}Node ${node})`
}

/** An image is given its commit in a file, for it has no Git; a checkout has it in `.git`, where no program is needed to read it. */
function commitOf(root: string): string | undefined {
  const built = hash(textOf(join(root, 'commit')))
  if (built !== undefined) return built
  // In another work tree `.git` is a file that names the folder, and `commondir` there the one that has the branches.
  const pointer = /^gitdir: (.+)$/.exec(textOf(join(root, '.git')) ?? '')?.[1]
  const folder = pointer === undefined ? join(root, '.git') : within(root, pointer)
  const shared = within(folder, textOf(join(folder, 'commondir')) ?? '.')
  const head = textOf(join(folder, 'HEAD'))
  const branch = /^ref: (refs\/[^\s:]+)$/.exec(head ?? '')?.[1]
  if (branch === undefined) return hash(head)
  return hash(textOf(join(shared, branch))) ?? hash(packed(textOf(join(shared, 'packed-refs')), branch))
}

function packed(refs: string | undefined, branch: string): string | undefined {
  const line = refs?.split('\n').find((one) => one.endsWith(` ${branch}`))
  return line?.split(' ')[0]
}

function within(folder: string, path: string): string {
  return isAbsolute(path) ? path : join(folder, path)
}

function hash(text: string | undefined): string | undefined {
  return text !== undefined && /^[0-9a-f]{40}([0-9a-f]{24})?$/.test(text) ? text : undefined
}

/** Undefined for what is no file that can be read: then the commit is not known, which stops nothing. */
function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return undefined
  }
}
