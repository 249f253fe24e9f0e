// How the client asks: where the server is, and with which API key.
export const server = { url: "http://127.0.0.1:8000", key: "" };

export const request = async <Answer>(path: string, options: RequestInit): Promise<Answer> => {
  const headers = new Headers(options.headers);
  headers.set("Authorization", `Bearer ${server.key}`);
  const answer = await fetch(new URL(path, server.url), { ...options, headers });
  const text = await answer.text();
  const data: unknown = text ? JSON.parse(text) : undefined;
  return { data, status: answer.status, headers: answer.headers } as Answer;
};
