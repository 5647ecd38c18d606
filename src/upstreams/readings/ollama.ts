/**
 * Ollama: `/api/ps` lists the models in memory, `/api/tags` those that it could load. It does not say
 * how much it has to do.
 */
import { withTag } from '../rank.ts'
import type { Ask, Told } from './read.ts'

export async function readOllama(ask: Ask): Promise<Told | undefined> {
  const loaded = modelsIn(await ask('/api/ps'))
  if (!loaded) return undefined
  const known = modelsIn(await ask('/api/tags'))
  return { busy: 0, slots: undefined, loaded, known, cacheUse: undefined }
}

interface Listed {
  readonly name?: unknown
  readonly model?: unknown
}

function modelsIn(text: string | undefined): ReadonlySet<string> | undefined {
  if (text === undefined) return undefined
  const { models } = JSON.parse(text) as { models?: readonly Listed[] | null }
  const names = (models ?? []).flatMap(({ name, model }) => [name, model])
  return new Set(names.filter(name => typeof name === 'string').map(withTag))
}
