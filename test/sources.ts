import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'

/** The folder of the repository. */
export const ROOT = join(import.meta.dirname, '..')

/** A TypeScript file, as rules about the code see it. */
export interface Source {
  /** Below the root. */
  readonly path: string
  readonly text: string
  /** Paths below the root, for relative imports; package names otherwise. Those of types alone are among them. */
  readonly imports: readonly string[]
}

/** All TypeScript files below the folders. */
export function sourcesBelow(...folders: string[]): Source[] {
  return folders.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
      .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)))
      .map((path) => sourceOf(path, readFileSync(join(ROOT, path), 'utf8'))),
  )
}

/** A file of this text, whether there is one or not. */
export function sourceOf(path: string, text: string): Source {
  const specifiers = [...text.matchAll(/(?:from|import\(|^import)\s*'([^']+)'/gm)].map((match) => match[1] ?? '')
  const imports = specifiers.map((name) => (name.startsWith('.') ? normalize(join(dirname(path), name)) : name))
  return { path, text, imports }
}
