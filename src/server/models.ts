/**
 * The list of models, as this caller may use them at this moment.
 */
import { GatewayError } from '../contract/errors.ts'
import type { RequestBody, RequestFacts } from '../contract/request.ts'
import { parseBody } from './strict-json.ts'

/** Whether a request is for the list, or for one model of it, which the gateway answers itself. */
export function isModelList(facts: RequestFacts): boolean {
  return facts.operation === 'models' && (facts.method === 'GET' || facts.method === 'HEAD')
}

/** What the policy is asked about one model. */
export interface ModelQuestion {
  readonly request: RequestFacts
  readonly body: RequestBody
}

/**
 * @param facts - Of the request for the list, or for one model of it.
 * @param mayCall - Asks the policy, spending nothing.
 * @returns JSON in OpenAI's form, or in Ollama's for `/api/tags`.
 * @throws GatewayError `model_not_found` for one model that this caller may not call.
 */
export function listModels(
  facts: RequestFacts,
  models: readonly string[],
  mayCall: (question: ModelQuestion) => boolean,
): string {
  const listed = models.filter(model => mayCall(questionAbout(model, facts)))
  if (facts.path === '/api/tags')
    return JSON.stringify({ models: listed.map(model => ({ name: model, model })) })
  const one = /^\/v1\/models\/(.+)$/.exec(facts.path)
  if (!one) return JSON.stringify({ object: 'list', data: listed.map(openAiModel) })
  const asked = decodeURIComponent(one[1] as string)
  if (listed.includes(asked)) return JSON.stringify(openAiModel(asked))
  throw new GatewayError('model_not_found', `the model is not there for this caller`, {
    title: `The model ${JSON.stringify(asked)} does not exist`,
  })
}

function openAiModel(id: string): object {
  return { id, object: 'model', created: 0, owned_by: 'sallyport' }
}

function questionAbout(model: string, facts: RequestFacts): ModelQuestion {
  const text = JSON.stringify({ model, messages: [] })
  return {
    request: {
      ...facts,
      method: 'POST',
      path: '/v1/chat/completions',
      search: '',
      segments: ['v1', 'chat', 'completions'],
      operation: 'chat',
    },
    body: parseBody(Buffer.from(text)),
  }
}
